"""The model directory of a worker: the one that is mounted, else a copy from the model storage that the host shares."""

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.model_worker.model_data.errors import DataDiffer, ModelDataError
from services.model_worker.model_data.fetching import ModelStore, fetch, missing_files
from services.model_worker.model_data.host_trees import HostTrees
from services.model_worker.model_place import DEFAULT_MODEL_DIRECTORY, IDENTITY
from services.model_worker.room import FULL, LEAST
from shared.model_storage import Manifest, model_prefix, model_storage
from shared.object_store import ObjectNotFound, ObjectStoreError, ObjectStoreSettings, open_object_store
from shared.settings import Options

log = logging.getLogger(__name__)

_DIRECTORY = "OASIS_WORKER_MODEL_DATA_DIRECTORY"
_PUSHED_MEANWHILE = 3
"""How often a manifest may be replaced while its files are fetched."""


@contextmanager
def provided_model(environ: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The environment, in which the model's directory is there: while inside, where it is a copy.

    Nothing is fetched where a directory with something in it is named, or no model storage. Raises ModelDataError,
    InvalidObjectStoreSettings, BadSetting and OSError.
    """
    options = Options("WORKER", environ)
    storage = model_storage(environ)
    directory = Path(options.text("MODEL_DATA_DIRECTORY", DEFAULT_MODEL_DIRECTORY))
    if storage is None or not all(environ.get(name) for name in IDENTITY) or _has_something(directory):
        yield environ
        return
    supplier, model, version = (environ[name] for name in IDENTITY)
    trees = HostTrees(Path(options.text("MODEL_STORAGE_CACHE", "/var/cache/lossline/models")))
    keep = options.seconds("MODEL_STORAGE_KEEP", 7 * 86400.0)
    with ExitStack() as held:
        with _as_model_data_error(trees):
            prefix = model_prefix(supplier, model, version)
            tree = _hold(held, storage, prefix, trees)
        trees.sweep(keep, superseded_by=tree)
        yield {**environ, _DIRECTORY: str(tree), "OASIS_MODEL_DATA_DIRECTORY": str(tree)}


def _hold(held: ExitStack, storage: ObjectStoreSettings, prefix: str, trees: HostTrees) -> Path:
    """Enter the model's tree, made where it is not there."""
    with open_object_store(storage) as store:
        source = ModelStore(store, prefix)
        manifest = source.manifest()
        for _ in range(_PUSHED_MEANWHILE):
            copying = _Copying(source, manifest, trees)
            try:
                return held.enter_context(trees.held(prefix.strip("/"), manifest.name, copying))
            except DataDiffer:
                newer = source.manifest()
                if newer.name == manifest.name:
                    raise
                log.info("The model's data were pushed anew meanwhile", extra={"model": prefix})
                manifest = newer
        raise DataDiffer(f"The data {prefix} in the model storage change faster than they can be fetched.")


@dataclass(frozen=True)
class _Copying:
    """Fills a folder with the files of a manifest."""

    source: ModelStore
    manifest: Manifest
    trees: HostTrees

    def __call__(self, folder: Path) -> None:
        sizes = self.source.sizes(self.manifest)
        left = {path: sizes[path] for path in missing_files(self.manifest, folder)}
        facts = {"model": self.source.prefix, "files": len(left), "bytes": sum(left.values())}
        log.info("Fetching the model's data", extra={**facts, "there": len(sizes) - len(left)})
        self._make_room(sum(left.values()), folder)
        fetch(self.source, self.manifest, left, folder)
        log.info("The model's data are there, and checked", extra={**facts, "version": self.manifest.name})

    def _make_room(self, needed: int, folder: Path) -> None:
        """Raises ModelDataError where the disk has no room, even without what nobody uses."""
        if _free(folder) < needed + LEAST:
            removed = self.trees.sweep(0.0)
            log.warning("Model data that nobody uses have been removed to make room", extra={"removed": removed})
        free = _free(folder)
        if free < needed + LEAST:
            raise ModelDataError(
                f"The disk of {self.trees.directory} is too full for the data {self.source.prefix}: they take "
                f"{_mib(needed)} MiB more and {_mib(free)} MiB are free. Make room, or name a folder on another disk "
                "by OASIS_WORKER_MODEL_STORAGE_CACHE."
            )


@contextmanager
def _as_model_data_error(trees: HostTrees) -> Iterator[None]:
    """What the store and the disk say, in sentences that name the model storage."""
    try:
        yield
    except ObjectNotFound as error:
        raise ModelDataError(
            f"The model storage has no data of this model: there is no object {error.key}. Push them there with "
            "`lossline model-data push`, or mount the model's directory."
        ) from error
    except ObjectStoreError as error:
        raise ModelDataError(f"The model's data cannot be fetched from the model storage. {error}") from error
    except OSError as error:
        what = "is full" if error.errno in FULL else f"cannot be used ({error.strerror or error})"
        raise ModelDataError(
            f"The disk of {trees.directory}, for data of models, {what}. Make room, or name a folder that can be "
            "written to by OASIS_WORKER_MODEL_STORAGE_CACHE."
        ) from error


def _has_something(directory: Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _mib(size: int) -> int:
    return -(-size // (1 << 20))
