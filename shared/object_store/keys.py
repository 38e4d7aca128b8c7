"""The rules for keys and prefixes: what every adapter, on every store, can keep. Pure.

A key is a POSIX-like relative path: `portfolios/12/location file.csv`. The limits are those of S3 (1024 bytes of UTF-8
for the whole) and of file systems (255 bytes for a segment). Control characters are refused because the XML of S3
cannot carry them.
"""

from shared.object_store.errors import InvalidKey

MAX_KEY_BYTES = 1024
MAX_SEGMENT_BYTES = 255

TEMPORARY_PREFIX = ".tmp-"
"""Segments that begin so are reserved for files that are still being written; no key may hold one."""


def validate_key(key: str) -> str:
    """The key itself. Raises InvalidKey with the rule that it breaks."""
    reason = _key_fault(key)
    if reason:
        raise InvalidKey(key, reason)
    return key


def validate_prefix(prefix: str) -> str:
    """The prefix itself: empty (everything), a folder that ends with "/", or whole segments. Raises InvalidKey."""
    if prefix:
        validate_key(prefix.removesuffix("/"))
    return prefix


def is_segment(name: str) -> bool:
    """Whether this name may stand between two slashes of a key."""
    return _segment_fault(name) is None


def is_key(key: str) -> bool:
    """Whether this string may be a key: stores may hold foreign things (`folder/` markers) that are never listed."""
    return _key_fault(key) is None


def _key_fault(key: str) -> str | None:
    if not key:
        return "it is empty"
    if key.startswith("/"):
        return "it is absolute; keys are relative"
    faults = (_segment_fault(segment) for segment in key.split("/"))
    fault = next((fault for fault in faults if fault), None)
    if fault is None and len(key.encode()) > MAX_KEY_BYTES:
        return f"it is longer than {MAX_KEY_BYTES} bytes"
    return fault


def _segment_fault(segment: str) -> str | None:
    if not segment:
        return 'it has an empty segment ("//" or a "/" at its end)'
    if segment in {".", ".."}:
        return f'it has a segment "{segment}"'
    if segment.startswith(TEMPORARY_PREFIX):
        return f'segments that begin with "{TEMPORARY_PREFIX}" are reserved for files being written'
    return _character_fault(segment)


def _character_fault(segment: str) -> str | None:
    if any(ord(character) < 32 or ord(character) == 127 for character in segment):
        return "it has a control character"
    try:
        size = len(segment.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return f"it has a segment of more than {MAX_SEGMENT_BYTES} bytes" if size > MAX_SEGMENT_BYTES else None
