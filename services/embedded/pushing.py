"""What `lossline model-data push` does: a model's directory into the model storage, and last of all its manifest."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

from services.embedded.errors import EmbeddedError
from services.embedded.models import read_model_directory
from shared.model_storage import (
    KIND_VARIABLE,
    MANIFEST,
    BadManifest,
    Manifest,
    manifest_of,
    model_prefix,
    model_storage,
)
from shared.object_store import (
    InvalidObjectStoreSettings,
    ObjectNotFound,
    ObjectStore,
    ObjectStoreError,
    ObjectStoreSettings,
    open_object_store,
)
from shared.object_store.keys import is_key

_AT_ONCE = 4

Identity = tuple[str | None, str | None, str | None]
"""Supplier, model and version; None where the directory says it."""


class PushFailed(EmbeddedError):
    """The data of a model could not be pushed."""


Said = Callable[[str], None]


def push(directory: Path, given: Identity, environ: Mapping[str, str], said: Said, *, anew: bool = False) -> None:
    """Upload what the storage does not have, or all of it `anew`. Raises EmbeddedError.

    Workers go on with what they have. What the storage has is taken from its manifest, without reading it.
    """
    storage, prefix = _storage(environ), _prefix(directory, given)
    try:
        files = dict(_files(directory.absolute()))
        if not files:
            raise PushFailed(f"{directory} has no files.")
        with open_object_store(storage) as store:
            store.check()
            uploaded = _upload(store, prefix, files, {} if anew else _there(store, prefix), said)
    except (ObjectStoreError, OSError) as error:
        raise PushFailed(f"The data of {directory} could not be pushed. {error}") from error
    said(f"The model storage has {len(files)} files as {prefix.strip('/')}, {uploaded} of them new.")


def _prefix(directory: Path, given: Identity) -> str:
    try:
        if all(given):
            return model_prefix(*(str(each) for each in given))
        found = read_model_directory(directory)
        said = (found.supplier_id, found.model_id, found.version_id)
        return model_prefix(*(each or other for each, other in zip(given, said, strict=True)))
    except ObjectStoreError as error:
        raise PushFailed(f"Supplier, model and version must be names without a slash. {error}") from error


def _storage(environ: Mapping[str, str]) -> ObjectStoreSettings:
    try:
        found = model_storage(environ)
    except (InvalidObjectStoreSettings, OSError) as error:
        raise PushFailed(str(error)) from error
    if found is None:
        raise PushFailed(f"No model storage is named: set {KIND_VARIABLE}, and what goes with it, as for the workers.")
    return found


def _files(directory: Path) -> Iterator[tuple[str, Path]]:
    """The files to push by their paths in the directory. Raises PushFailed for what no store can keep."""
    if not directory.is_dir():
        raise PushFailed(f"{directory} is not a directory; give the directory of a model.")
    for folder, folders, names in os.walk(directory):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*names, *links):
            path = Path(folder, name)
            key = path.relative_to(directory).as_posix()
            if not path.is_file() or not is_key(key):
                raise PushFailed(f"{path} cannot be pushed: it is no plain file, or its name cannot be kept.")
            if key != MANIFEST:
                yield key, path


def _upload(store: ObjectStore, prefix: str, files: Mapping[str, Path], before: Mapping[str, str], said: Said) -> int:
    """Returns how many files the storage did not have. The manifest comes last: until then the old one counts."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        digests = dict(zip(files, pool.map(_digest, files.values()), strict=True))
        new = [path for path in files if before.get(path) != digests[path]]
        total = sum(files[path].stat().st_size for path in new)
        said(f"{len(new)} of {len(files)} files are to be uploaded, {total / 1e6:.1f} MB.")
        for path, _ in zip(
            new, pool.map(lambda path: store.put_file(f"{prefix}{path}", files[path]), new), strict=True
        ):
            said(path)
    store.put(f"{prefix}{MANIFEST}", BytesIO(manifest_of(digests)), content_type="text/plain")
    return len(new)


def _there(store: ObjectStore, prefix: str) -> Mapping[str, str]:
    """SHA-256 of the files that the manifest in the storage names and the storage has."""
    try:
        with store.open(f"{prefix}{MANIFEST}") as stream:
            manifest = Manifest.read(stream.read())
    except (ObjectNotFound, BadManifest):
        return {}
    found = {info.key.removeprefix(prefix) for info in store.list(prefix)}
    return {path: digest for path, digest in manifest.files.items() if path in found}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
