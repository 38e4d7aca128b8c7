"""What uploaded files hold, against what they say they are."""

import bz2
import gzip
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import BinaryIO

from services.api.errors import BadRequest
from services.api.http import parse_json

_HEAD = 64 * 1024
_PARQUET = b"PAR1"
_TAR_MAGIC = (257, b"ustar")
_ZIP_BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06")
_ARCHIVE_BEGINNINGS = (*_ZIP_BEGINNINGS, b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\x0c")
_ARCHIVE = "An archive cannot be read as exposure: say its type, or send the file itself."
_TAR = "A tar archive cannot be read as exposure: compress the file itself."


def content_problem(stream: BinaryIO, extension: str, content_type: str) -> str | None:
    """Why a file is not what its extension and type say, by its first and last bytes; None where it may be."""
    head, tail = _ends(stream)
    if extension in ("parquet", "pq") and not (head.startswith(_PARQUET) and tail == _PARQUET):
        return "The content of the file is not parquet."
    if content_type == "application/gzip" and not head.startswith(b"\x1f\x8b"):
        return "The content of the file is not gzip."
    if content_type == "application/zip" and not head.startswith(_ZIP_BEGINNINGS):
        return "The content of the file is not zip."
    if content_type == "application/x-bzip2" and not head.startswith(b"BZh"):
        return "The content of the file is not bzip2."
    return None


def exposure_problem(stream: BinaryIO, content_type: str) -> str | None:
    """Why a file cannot be exposure, whatever model reads it; None where it can."""
    if content_type in ("text/csv", "application/vnd.ms-excel") and _is_binary(_ends(stream)[0]):
        return "The content of the file is not text."
    if content_type == "application/octet-stream":
        return _archive_problem(_ends(stream)[0])
    if content_type == "application/json" and not _ends(stream)[0].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(
        (b"{", b"[")
    ):
        return "The content of the file is not JSON."
    check = _ARCHIVES.get(content_type)
    if check is None:
        return None
    try:
        stream.seek(0)
        return check(stream)
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        return f"The file cannot be decompressed: {error}"
    finally:
        stream.seek(0)


def json_problem(stream: BinaryIO, largest: int) -> str | None:
    """Why a file is not JSON of at most so many bytes; None where it is."""
    text = stream.read(largest + 1)
    stream.seek(0)
    if len(text) > largest:
        return f"The file must not be larger than {largest} bytes."
    try:
        parse_json(text)
    except BadRequest as error:
        return str(error.body["detail"])
    return None


def _ends(stream: BinaryIO) -> tuple[bytes, bytes]:
    stream.seek(0)
    head = stream.read(_HEAD)
    size = stream.seek(0, 2)
    stream.seek(max(size - 4, 0))
    tail = stream.read(4)
    stream.seek(0)
    return head, tail


def _is_binary(head: bytes) -> bool:
    return len(head.translate(None, _CONTROLS)) != len(head)


def _archive_problem(head: bytes) -> str | None:
    """Of bytes whose type says nothing: parquet, or what some model reads, but no archive."""
    return _ARCHIVE if head.startswith(_ARCHIVE_BEGINNINGS) else _tar_problem(head)


def _gzip_problem(stream: BinaryIO) -> str | None:
    with gzip.GzipFile(fileobj=stream) as file:
        return _tar_problem(file.read(512))


def _bzip2_problem(stream: BinaryIO) -> str | None:
    with bz2.BZ2File(stream) as file:
        return _tar_problem(file.read(512))


def _tar_problem(head: bytes) -> str | None:
    at, magic = _TAR_MAGIC
    return _TAR if head[at : at + len(magic)] == magic else None


def _zip_problem(stream: BinaryIO) -> str | None:
    with zipfile.ZipFile(stream) as archive:
        files = sum(1 for member in archive.infolist() if not member.is_dir())
    return None if files == 1 else f"An archive must hold one file to be read as exposure, not {files}."


_ARCHIVES: Mapping[str, Callable[[BinaryIO], str | None]] = {
    "application/gzip": _gzip_problem,
    "application/x-bzip2": _bzip2_problem,
    "application/zip": _zip_problem,
}
