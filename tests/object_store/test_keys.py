"""The rules for keys."""

import pytest

from shared.object_store import InvalidKey
from shared.object_store.keys import is_key, is_segment, validate_key, validate_prefix


@pytest.mark.parametrize("key", ["a", "a/b", "a b/ü.csv", "..a", "a..", ".hidden", "tmp-", "é" * 127, "a/" * 511 + "a"])
def test_usable_keys_are_returned(key: str) -> None:
    assert validate_key(key) == key
    assert validate_prefix(key) == key
    assert validate_prefix(f"{key}/") == f"{key}/"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("/", "absolute"),
        ("/a", "absolute"),
        ("a/", "empty segment"),
        ("a//b", "empty segment"),
        (".", 'segment "."'),
        ("a/..", 'segment ".."'),
        ("../a", 'segment ".."'),
        ("a/.tmp-1/b", "reserved"),
        ("a\x00b", "control character"),
        ("a\nb", "control character"),
        ("a\x7fb", "control character"),
        ("\ud800", "not valid Unicode"),
        ("é" * 128, "more than 255 bytes"),
        ("/".join(["é" * 100] * 6), "longer than 1024 bytes"),
    ],
)
def test_other_keys_are_refused_with_the_reason(key: str, reason: str) -> None:
    with pytest.raises(InvalidKey) as caught:
        validate_key(key)

    assert reason in caught.value.reason
    assert caught.value.key == key
    assert not is_key(key)


def test_the_empty_prefix_is_everything() -> None:
    assert validate_prefix("") == ""


def test_a_segment_has_no_slash_in_it() -> None:
    assert is_segment("a.csv")
    assert not is_segment("")
    assert not is_segment("..")
