"""How every object store finds objects by prefix."""

import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.object_store import InvalidKey, ObjectStore

KEYS = ["a", "ab", "b/c", "b/c-d/e", "b/c.txt", "b/cd", "b/d/1", "b/d/2/3", "b-/x", "b.x", "é/ü"]


@pytest.fixture
def filled(store: ObjectStore) -> ObjectStore:
    for key in reversed(KEYS):
        store.put(key, io.BytesIO(key.encode()))
    return store


def keys(store: ObjectStore, prefix: str) -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_everything_is_listed_in_key_order(filled: ObjectStore) -> None:
    assert keys(filled, "") == sorted(KEYS)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("a", ["a"]),
        ("a/", []),
        ("b", ["b/c", "b/c-d/e", "b/c.txt", "b/cd", "b/d/1", "b/d/2/3"]),
        ("b/", ["b/c", "b/c-d/e", "b/c.txt", "b/cd", "b/d/1", "b/d/2/3"]),
        ("b/c", ["b/c"]),
        ("b/d", ["b/d/1", "b/d/2/3"]),
        ("b/d/2", ["b/d/2/3"]),
        ("b/d/2/3", ["b/d/2/3"]),
        ("b/d/2/3/", []),
        ("b/d/2/3/4", []),
        ("é", ["é/ü"]),
        ("missing", []),
        ("missing/", []),
    ],
)
def test_prefixes_count_whole_segments(filled: ObjectStore, prefix: str, expected: list[str]) -> None:
    assert sorted(expected) == expected
    assert keys(filled, prefix) == expected

    assert filled.delete_prefix(prefix) == len(expected)
    assert filled.delete_prefix(prefix) == 0
    assert keys(filled, "") == sorted(set(KEYS) - set(expected))


def test_a_listing_tells_sizes(filled: ObjectStore) -> None:
    assert {info.key: info.size for info in filled.list("")} == {key: len(key.encode()) for key in KEYS}


@pytest.mark.parametrize("prefix", ["/", "//", "a//", "/a", "..", "../", "a/../b/", ".", "a\nb"])
def test_invalid_prefixes_are_refused_before_anything_is_listed(filled: ObjectStore, prefix: str) -> None:
    with pytest.raises(InvalidKey):
        filled.list(prefix)
    with pytest.raises(InvalidKey):
        filled.delete_prefix(prefix)


def test_the_whole_store_is_never_deleted_by_an_empty_prefix(filled: ObjectStore) -> None:
    with pytest.raises(InvalidKey, match="whole store"):
        filled.delete_prefix("")

    assert keys(filled, "") == sorted(KEYS)


def test_1500_objects_are_listed_sorted_and_deleted(store: ObjectStore) -> None:
    names = [f"many/{number % 7}/ключ {number}+.csv" for number in range(1500)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(name, io.BytesIO(b"x")), names))
    store.put("many-others", io.BytesIO(b"x"))

    assert keys(store, "many") == sorted(names)
    assert store.delete_prefix("many") == 1500
    assert keys(store, "") == ["many-others"]


def test_a_listing_may_be_left_half_way(filled: ObjectStore) -> None:
    listing = filled.list("")

    assert next(listing).key == "a"
    assert filled.delete_prefix("b") == 6
