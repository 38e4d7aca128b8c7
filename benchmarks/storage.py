"""python -m benchmarks.storage: a large work archive, packed, put, fetched and extracted: wall time and peak memory.

The store is a directory, or the one that the variables of a worker name. See README.md.
"""

import argparse
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.resources import load
from services.model_worker.steps import archives
from shared.object_store import DirectorySettings, ObjectStoreSettings, open_object_store

MEMORY_MIB = 64.0
"""Goal for put and get, which the supervisor does itself: its growth above what it had before."""

_KEY = "benchmark/work-1.tar.gz"
_MIB = 1 << 20
_FILES = 16
_RECORDS = _MIB // 16
"""In a block of 1 MiB. Repeating it changes nothing: gzip sees 32 KiB at a time."""


@dataclass(frozen=True)
class Measure:
    """One operation in a process of its own. `growth_mib`: its peak of resident memory above what it had before."""

    operation: str
    mib: float
    """Read or written: the files for pack and extract, the archive for put and get."""
    seconds: float
    growth_mib: float


@dataclass(frozen=True)
class StorageResults:
    """One run of the benchmark."""

    machine: str
    store: str
    files_mib: float
    archive_mib: float
    load_before: float
    load_after: float
    measures: list[Measure]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="lossline-storage-", dir=options.folder) as name:
        results = measure(Path(name), options.mib, settings_of(os.environ, Path(name)))
    show(results, Console(width=110))
    if options.out:
        options.out.write_text(json.dumps(asdict(results), indent=2), encoding="utf-8")
    return 0


def settings_of(environ: Mapping[str, str], folder: Path) -> ObjectStoreSettings:
    """The object store that the environment names, else a directory."""
    if environ.get("OASIS_STORAGE_TYPE"):
        return ObjectStoreSettings.from_environ(environ)
    return ObjectStoreSettings(DirectorySettings(folder / "objects"))


def measure(folder: Path, archive_mib: int, store: ObjectStoreSettings) -> StorageResults:
    """Take an archive of at least so many MiB through all that happens to one, each operation in a new process."""
    before, work, archive, fetched = load(), folder / "work", folder / "work-1.tar.gz", folder / "fetched.tar.gz"
    (folder / "objects").mkdir()
    files = write_work(work, archive_mib)
    packing = _measured("pack", files, _pack, work, archive)
    size = archive.stat().st_size / _MIB
    measures = [packing]
    try:
        measures.append(_measured("put", size, _put, store, archive))
        measures.append(_measured("get", size, _get, store, fetched))
    finally:
        _measured("delete", size, _delete, store)
    measures.append(_measured("extract", files, _extract, fetched, folder / "extracted"))
    place = type(store.backend).__name__.removesuffix("Settings")
    return StorageResults(f"{len(os.sched_getaffinity(0))} cores", place, files, size, before, load(), measures)


def write_work(work: Path, archive_mib: int) -> float:
    """Files like the summaries of a kernel, of which half is left when they are packed. Returns their MiB."""
    records = np.zeros(_RECORDS, dtype=[("event", "<i4"), ("summary", "<i4"), ("sample", "<i4"), ("loss", "<f4")])
    numbers = np.arange(_RECORDS)
    records["event"], records["summary"], records["sample"] = numbers // 100, numbers // 10 % 10, numbers % 10
    records["loss"] = np.random.default_rng(1).lognormal(8, 2, _RECORDS)
    block = records.tobytes()
    blocks = max(1, round(archive_mib / (len(block) * _RATIO / _MIB) / _FILES))
    for number in range(1, _FILES + 1):
        path = work / f"gul_S{number}_summary" / "P1.bin"
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            for _ in range(blocks):
                file.write(block)
    return _FILES * blocks * len(block) / _MIB


_RATIO = 0.41
"""What packing leaves of such files."""


def _pack(work: Path, archive: Path) -> None:
    archives.create(archive, work)


def _extract(archive: Path, target: Path) -> None:
    archives.extract(archive, target)


def _put(settings: ObjectStoreSettings, archive: Path) -> None:
    with open_object_store(settings) as store:
        store.put_file(_KEY, archive)


def _get(settings: ObjectStoreSettings, target: Path) -> None:
    with open_object_store(settings) as store:
        store.get_file(_KEY, target)


def _delete(settings: ObjectStoreSettings) -> None:
    with open_object_store(settings) as store:
        store.delete(_KEY)


def _measured(operation: str, mib: float, work: Callable[..., None], *arguments: Any) -> Measure:
    """Run it in a new process, which has nothing of this one's memory. Raises ChildProcessError when it fails."""
    print(f"{operation}, {mib:,.0f} MiB", file=sys.stderr, flush=True)
    starting = multiprocessing.get_context("spawn")
    here, there = starting.Pipe(duplex=False)
    process = starting.Process(target=_measure_here, args=(there, work, arguments))
    process.start()
    there.close()
    process.join()
    if process.exitcode:
        raise ChildProcessError(f"{operation} ended with status {process.exitcode}")
    seconds, growth = here.recv()
    return Measure(operation, mib, seconds, growth)


def _measure_here(answer: Connection, work: Callable[..., None], arguments: Sequence[Any]) -> None:
    before = _memory_mib("VmRSS")
    began = time.monotonic()
    work(*arguments)
    answer.send((time.monotonic() - began, _memory_mib("VmHWM") - before))


def _memory_mib(field: str) -> float:
    """Resident memory of this process, now (VmRSS) or at its highest (VmHWM)."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise LookupError(f"this system does not tell {field}")
    return int(found.group(1)) / 1024


def show(results: StorageResults, console: Console) -> None:
    """Print the table."""
    title = f"{results.store}: files of {results.files_mib:,.0f} MiB, archive of {results.archive_mib:,.0f} MiB"
    table = Table(title=title, title_justify="left")
    for column in ("operation", "s", "MiB/s", "peak above before, MiB", "goal"):
        table.add_column(column, justify="right")
    for each in results.measures:
        goal = f"≤ {MEMORY_MIB:g}" if each.operation in ("put", "get") else ""
        rate = f"{each.mib / each.seconds:,.0f}"
        table.add_row(each.operation, f"{each.seconds:.1f}", rate, f"{each.growth_mib:.1f}", goal)
    console.print(table)
    console.print(f"{results.machine}; load average {results.load_before:.1f} before, {results.load_after:.1f} after.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("--mib", type=int, default=2048, help="size of the archive; default: %(default)s")
    parser.add_argument("--folder", type=Path, help="where to work; it needs five times the size")
    parser.add_argument("--out", type=Path, help="where to write the results as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
