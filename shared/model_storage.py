"""Models' data in an object store: where the store is, where in it they lie, and the manifest that says what they are.

Below `{supplier}/{model}/{version}/` lie the files of a model's directory under their own names, and among them
`SHA256SUMS`, in the language of the program `sha256sum`: so that whoever has no command of ours can put them there too.
The SHA-256 of the manifest names this state of the data.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from shared.object_store import InvalidObjectStoreSettings, ObjectStoreSettings
from shared.object_store.keys import is_key, validate_key
from shared.settings import Options

MANIFEST = "SHA256SUMS"
KIND_VARIABLE = "OASIS_WORKER_MODEL_STORAGE_STORAGE_TYPE"
"""Without it, or its like in the reference's code, there is no model storage."""
_SECTIONS = ("MODEL_STORAGE", "MODEL_DATA")
"""What its options begin with behind `OASIS_WORKER_`: in the reference's documents, and in its code."""
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?:\./)?(?P<path>.+)")


class BadManifest(ValueError):
    """A manifest cannot be used."""


@dataclass(frozen=True)
class Manifest:
    """SHA-256 by path, relative to the model's directory; `name` is that of the manifest itself."""

    name: str
    files: Mapping[str, str]

    @classmethod
    def read(cls, content: bytes) -> Self:
        """What `sha256sum` has written. Raises BadManifest with the number of the line and what is wrong with it."""
        files: dict[str, str] = {}
        try:
            lines = content.decode().split("\n")
        except UnicodeDecodeError as error:
            raise BadManifest(f"it is no text in UTF-8 ({error.reason})") from error
        for number, line in ((number, line) for number, line in enumerate(lines, 1) if line):
            path, digest = _entry(number, line)
            # Whoever writes the manifest into the folder that it lists has it in itself.
            if path != MANIFEST and files.setdefault(path, digest) != digest:
                raise BadManifest(f"line {number} gives {path!r} another hash than a line before")
        _check(files)
        return cls(hashlib.sha256(content).hexdigest(), files)


def manifest_of(files: Mapping[str, str]) -> bytes:
    """The manifest of files by their SHA-256, in an order that does not change."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items())).encode()


def model_storage(environ: Mapping[str, str]) -> ObjectStoreSettings | None:
    """The store of models' data, None where no setting names one. Raises InvalidObjectStoreSettings, OSError."""
    options = Options("WORKER", environ)

    def lookup(option: str) -> str | None:
        found = (options.secret(f"{section}_{option}") for section in _SECTIONS)
        return next((text for text in found if text), None)

    if not lookup("STORAGE_TYPE"):
        return None
    try:
        return ObjectStoreSettings.from_lookup(lookup)
    except InvalidObjectStoreSettings as error:
        raise InvalidObjectStoreSettings(f"OASIS_WORKER_MODEL_STORAGE_{error.option}", error.reason) from error


def model_prefix(supplier: str, model: str, version: str) -> str:
    """Where the data of a model lie in the store, as in the reference. Raises InvalidKey."""
    return validate_key(f"{supplier}/{model}/{version}") + "/"


def _entry(number: int, line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None or not is_key(found["path"]):
        raise BadManifest(f"line {number} is not a hash and a path inside the model's directory")
    return found["path"], found["digest"]


def _check(files: Mapping[str, str]) -> None:
    if not files:
        raise BadManifest("it names no file")
    folders = {str(folder) for path in files for folder in PurePosixPath(path).parents}
    both = sorted(folders & files.keys())
    if both:
        raise BadManifest(f"{both[0]!r} is a file and a folder")
