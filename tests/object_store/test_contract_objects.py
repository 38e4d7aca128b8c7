"""What every object store does with one object."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.object_store import InvalidKey, ObjectNotFound, ObjectStore
from tests.object_store.streams import MIB, BreakingStream

STRANGE_KEYS = [
    "with space/and another .csv",
    " leading and trailing ",
    "plus+percent%20and&<quote>\"'.csv",
    "straße/日本語/🌪 wind.parquet",
    "e\u0301 is not é",
    "question?mark#hash;semicolon=equals:colon",
    "back\\slash/tilde~/star*/brackets[1]",
    "a.tmp/..b/c../...",
    "/".join(["deep"] * 100),
    "x" * 255,
]


def put(store: ObjectStore, key: str, content: bytes = b"content") -> None:
    store.put(key, io.BytesIO(content))


def read(store: ObjectStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    with store.open(key, start, end) as reader:
        return reader.read()


def test_what_is_put_is_read_back(store: ObjectStore) -> None:
    info = store.put("runs/1/losses.csv", io.BytesIO(b"event,loss\n1,2\n"), content_type="text/csv")

    assert read(store, "runs/1/losses.csv") == b"event,loss\n1,2\n"
    assert (info.key, info.size) == ("runs/1/losses.csv", 15)


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    put(store, "empty", b"")

    assert store.stat("empty").size == 0
    assert read(store, "empty") == b""


def test_only_what_is_left_of_the_stream_is_stored(store: ObjectStore) -> None:
    stream = io.BytesIO(b"header|body")
    stream.seek(7)

    info = store.put("body", stream)

    assert info.size == 4
    assert read(store, "body") == b"body"
    assert not stream.closed


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_strange_keys_work_everywhere(store: ObjectStore, key: str) -> None:
    put(store, key)
    put(store, "other")
    copied = store.copy(key, f"copied/{key}")

    assert read(store, key) == b"content"
    assert read(store, copied.key) == b"content"
    assert {info.key for info in store.list("")} == {key, "other", copied.key}
    assert store.delete_prefix(key) == 1
    assert not store.exists(key)


def test_stat_agrees_with_put_and_list(store: ObjectStore) -> None:
    written = store.put("a/b", io.BytesIO(b"12345"))

    found = store.stat("a/b")
    [listed] = store.list("a")

    assert (found.key, found.size, found.etag) == (written.key, written.size, written.etag)
    assert (listed.key, listed.size, listed.etag) == (written.key, written.size, written.etag)
    for info in (written, found, listed):
        assert abs(info.modified_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_overwriting_replaces_everything_and_changes_the_etag(store: ObjectStore) -> None:
    first = store.put("key", io.BytesIO(b"long first version"))
    second = store.put("key", io.BytesIO(b"second"))

    assert read(store, "key") == b"second"
    assert first.etag != second.etag
    assert [info.size for info in store.list("")] == [6]


def test_a_reader_keeps_the_version_that_it_opened(store: ObjectStore) -> None:
    put(store, "key", b"a" * 3 * MIB)
    with store.open("key") as reader:
        beginning = reader.read(10)
        put(store, "key", b"b" * 3 * MIB)

        assert beginning + reader.read() == b"a" * 3 * MIB


@pytest.mark.parametrize("operation", ["open", "stat", "copy", "get_file"])
def test_what_is_not_there_is_not_found(store: ObjectStore, tmp_path: Path, operation: str) -> None:
    put(store, "some/other")
    arguments = {"copy": ("target",), "get_file": (tmp_path / "file",)}.get(operation, ())
    for key in ("missing", "some", "some/missing", "some/other/below"):
        with pytest.raises(ObjectNotFound) as caught:
            getattr(store, operation)(key, *arguments)

        assert caught.value.key == key
    assert not store.exists("missing")
    assert not store.exists("target")
    assert list(tmp_path.glob("file")) == list(tmp_path.glob(".tmp-*")) == []


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (0, 1, b"0"),
        (3, None, b"3456789"),
        (3, 7, b"3456"),
        (9, 10, b"9"),
        (0, 10, b"0123456789"),
        (5, 1000, b"56789"),
        (4, 4, b""),
        (10, None, b""),
        (10, 12, b""),
        (1000, 2000, b""),
    ],
)
def test_a_range_is_cut_to_the_object(store: ObjectStore, start: int, end: int | None, expected: bytes) -> None:
    put(store, "digits", b"0123456789")

    assert read(store, "digits", start, end) == expected


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 5), (3, None), (0, 0), (4, 4)])
def test_a_range_of_nothing_and_of_an_empty_object(store: ObjectStore, start: int, end: int | None) -> None:
    put(store, "empty", b"")

    assert read(store, "empty", start, end) == b""
    with pytest.raises(ObjectNotFound):
        store.open("missing", start, end)


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 4), (0, -1)])
def test_a_range_that_cannot_be_meant_is_refused(store: ObjectStore, start: int, end: int | None) -> None:
    put(store, "digits", b"0123456789")

    with pytest.raises(ValueError, match="not a range"):
        store.open("digits", start, end)


def test_a_copy_is_independent_of_its_source(store: ObjectStore) -> None:
    put(store, "source", b"first")
    put(store, "target", b"to be replaced")

    info = store.copy("source", "target")
    put(store, "source", b"second")

    assert (info.key, info.size) == ("target", 5)
    assert info.etag == store.stat("target").etag
    assert read(store, "target") == b"first"


def test_copying_an_object_onto_itself_changes_nothing(store: ObjectStore) -> None:
    put(store, "key", b"content")
    before = store.stat("key")

    assert store.copy("key", "key").etag == before.etag
    assert read(store, "key") == b"content"


def test_deleting_is_idempotent(store: ObjectStore) -> None:
    put(store, "a/b/c")

    store.delete("a/b/c")
    store.delete("a/b/c")
    store.delete("never/was/there")

    assert not store.exists("a/b/c")
    assert list(store.list("")) == []


def test_deleting_a_folder_name_deletes_nothing(store: ObjectStore) -> None:
    put(store, "a/b")

    store.delete("a")
    store.delete("a/b/c")

    assert store.exists("a/b")


def test_a_key_may_become_a_folder_once_it_is_free(store: ObjectStore) -> None:
    put(store, "a")
    store.delete("a")
    put(store, "a/b/c")
    store.delete("a/b/c")

    put(store, "a/b")

    assert [info.key for info in store.list("")] == ["a/b"]


def test_files_go_in_and_come_out(store: ObjectStore, tmp_path: Path) -> None:
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(b"\x00\xff" * 700_000)
    target.write_bytes(b"old")

    info = store.put_file("file", source, content_type="application/octet-stream")
    store.get_file("file", target)

    assert info.size == 1_400_000
    assert target.read_bytes() == source.read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*.bin")) == ["in.bin", "out.bin"]
    assert list(tmp_path.glob(".tmp-*")) == []


@pytest.mark.parametrize("size", [0, 100, 20 * MIB])
def test_a_stream_that_breaks_leaves_the_old_object(store: ObjectStore, size: int) -> None:
    put(store, "key", b"old")
    error = OSError("the disk of the sender is gone")
    for key in ("key", "new"):
        with pytest.raises(OSError, match="the disk of the sender") as caught:
            store.put(key, BreakingStream(size, error))
        assert caught.value is error

    assert read(store, "key") == b"old"
    assert [info.key for info in store.list("")] == ["key"]


@pytest.mark.parametrize("key", ["", "/absolute", "a//b", "a/", "../up", "a/../b", "./a", "a/.", ".tmp-a", "x" * 256])
def test_invalid_keys_are_refused_by_every_operation(store: ObjectStore, tmp_path: Path, key: str) -> None:
    put(store, "valid")
    operations = [
        lambda: store.put(key, io.BytesIO()),
        lambda: store.open(key),
        lambda: store.open(key, 0, 0),
        lambda: store.stat(key),
        lambda: store.exists(key),
        lambda: store.copy(key, "target"),
        lambda: store.copy("valid", key),
        lambda: store.delete(key),
        lambda: store.get_file(key, tmp_path / "file"),
    ]
    for operation in operations:
        with pytest.raises(InvalidKey):
            operation()


def test_a_store_that_works_passes_its_check(store: ObjectStore) -> None:
    store.check()

    assert list(store.list("")) == []
