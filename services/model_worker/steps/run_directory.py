"""The directory in which a loss kernel runs, and how it travels: without the model's data, which each worker has.

oasislmf links model data and data files of the user into `static` by absolute paths. Such links mean nothing elsewhere,
so they are left out of the archive and made anew where it is extracted; links from one file of `static` to another
(a chosen footprint set, for example) travel as relative links.
"""

import os
import re
import tarfile
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from services.model_worker.shared_trees import SharedTrees

from . import archives, settings
from .members import changed

INPUT, STATIC, WORK, LOG, OUTPUT = "input", "static", "work", "log", "output"
NEEDED_EMPTY = ("fifo", WORK, LOG)
EXPOSURE_UPLOADS = re.compile(rf"{INPUT}/(raw|pre)_(location|account|reinsinfo|reinsscope)\.[^/]*")
"""Copies of the exposure that are in the inputs archive for its readers; no kernel reads them."""

SCHEMA_FILE = re.compile(r"OpenExposureData_(\d+\.\d+\.\d+)Spec\.json")


def pack(run: Path, archive: Path) -> Path:
    """Write the run directory into `archive`, without what belongs to this worker."""
    return archives.create(archive, run, keep=partial(_portable, run))


def unpack(archive: Path, run: Path, params: dict[str, Any], trees: Path | None = None) -> Path:
    """Make the run directory `run` from `archive`, with the model data and data files of this attempt.

    With a folder for `trees`, the archive is extracted there once for all attempts, and its inputs are linked.
    """
    if trees is None:
        archives.extract(archive, run)
    else:
        SharedTrees(trees).link(archive.name, partial(archives.extract, archive), run, shared={INPUT})
    for name in NEEDED_EMPTY:
        (run / name).mkdir(exist_ok=True)
    link_data(run, params)
    return run


def link_data(run: Path, params: dict[str, Any]) -> None:
    """Link every file of the model data and of the user's data into `static`; what is there already stays.

    The user's files go before files of the model of the same name. Model data in a storage of its own is not linked.
    """
    sources: dict[str, Path] = {}
    if params.get("model_data_dir") and not params.get("model_storage_json"):
        sources |= _visible(Path(params["model_data_dir"]))
    if params.get("user_data_dir"):
        sources |= _visible(Path(params["user_data_dir"]))
    (run / STATIC).mkdir(exist_ok=True)
    for name, source in sources.items():
        if not os.path.lexists(run / STATIC / name):
            (run / STATIC / name).symlink_to(source.absolute())


def localise_exposure(files: Path) -> None:
    """Name the exposure schema by its version where exposure_info.json names a file of another machine's ods-tools."""
    path = files / "exposure_info.json"
    if not path.is_file():
        return
    info = settings.read(path)
    schema = info.get("oed_schema_info")
    standard = isinstance(schema, str) and not Path(schema).is_file() and SCHEMA_FILE.fullmatch(Path(schema).name)
    if standard:
        settings.write(path, {**info, "oed_schema_info": standard.group(1)})


def _visible(directory: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(directory.iterdir()) if not path.name.startswith(".")}


def _portable(run: Path, member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if EXPOSURE_UPLOADS.fullmatch(member.name) or member.isfifo():
        return None
    if not member.issym() or not PurePosixPath(member.linkname).is_absolute():
        return member
    if not Path(member.linkname).is_relative_to(run):
        return None
    inside = PurePosixPath(Path(member.linkname).relative_to(run).as_posix())
    return changed(member, linkname=os.path.relpath(inside, PurePosixPath(member.name).parent))
