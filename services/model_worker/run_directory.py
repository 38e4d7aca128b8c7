"""A worker's own place on disk: locked, swept of what an earlier worker left, apart from all others."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from services.model_worker.processes import sweep


@contextmanager
def own_directory(base: Path, queue: str, *, keep: bool = False) -> Iterator[Path]:
    """A folder `{base}/{queue}.{n}` that no other living worker has, empty; removed at the end unless to `keep`.

    Raises SweepFailedError when processes of an earlier worker do not die.
    """
    base.mkdir(parents=True, exist_ok=True)
    for number in count():
        directory = base / f"{queue.replace('/', '_')}.{number}"
        lock = os.open(directory.with_suffix(directory.suffix + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        try:
            directory.mkdir(exist_ok=True)
            sweep(directory)
            shutil.rmtree(directory)
            directory.mkdir()
            yield directory
            if not keep:
                shutil.rmtree(directory, ignore_errors=True)
        finally:
            os.close(lock)
        return
