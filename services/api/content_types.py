"""The types of uploaded files: what the request says, else what the name means. Source: oasis_api.md section 1.6."""

from collections.abc import Mapping
from pathlib import PurePath

EXPOSURE_TYPES = (
    "application/octet-stream",
    "application/json",
    "text/csv",
    "application/gzip",
    "application/zip",
    "application/x-bzip2",
)
JSON_TYPES = ("application/json",)
CSV_TYPES = ("text/csv",)
ANY_TYPE: tuple[str, ...] = ()
EXCEL = "application/vnd.ms-excel"
"""What browsers on Windows call csv."""

LONGEST_TYPE = 127
NO_TYPE = "The content type of the file is not one."

_TYPE_OF: Mapping[str, str] = {
    "parquet": "application/octet-stream",
    "pq": "application/octet-stream",
    "csv": "text/csv",
    "gz": "application/gzip",
    "zip": "application/zip",
    "bz2": "application/x-bzip2",
}
_UNSAID = {"json": "application/json"}
_SUFFIX_OF = {
    "application/octet-stream": ".parquet",
    "application/gzip": ".csv.gz",
    "application/zip": ".csv.zip",
    "application/x-bzip2": ".csv.bz2",
}


def extension_of(filename: str) -> str:
    """`Homes.CSV` -> `csv`."""
    return PurePath(filename).suffix[1:].lower()


def type_of(said: str, filename: str) -> str:
    """The type that a part of a request has; where it says none, the one that its extension means."""
    extension = extension_of(filename)
    return said or _TYPE_OF.get(extension) or _UNSAID.get(extension, "application/octet-stream")


def reading_name(filename: str, content_type: str) -> str:
    """The name by which readers of exposure know what a file is: its own, with a suffix where it has none."""
    return filename if PurePath(filename).suffix else filename + _SUFFIX_OF.get(content_type, "")


def is_type(content_type: str) -> bool:
    """Whether it could be a type at all, and be sent with the file again."""
    return len(content_type) <= LONGEST_TYPE and content_type.isascii() and content_type.isprintable()


def type_problem(content_type: str, filename: str, allowed: tuple[str, ...]) -> str | None:
    """Why a file of this name may not be of this type, of any type where none is named; None where it may."""
    exposure = allowed == EXPOSURE_TYPES
    if allowed and content_type not in allowed and not (exposure and content_type == EXCEL):
        return f"File should be one of [{', '.join(allowed)}]"
    if not is_type(content_type):
        return NO_TYPE
    extension = extension_of(filename)
    expected = _TYPE_OF.get(extension, content_type)
    if content_type == expected or (exposure and extension == "csv" and content_type == EXCEL):
        return None
    return (
        f"File extention '{extension}' mismatched with request header 'Content-Type': "
        f"'{content_type}', should be set to '{expected}'"
    )
