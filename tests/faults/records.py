"""What was really executed: a line for the beginning and the end of every step, written outside of the platform.

The file is appended to by the processes of the steps themselves, so that it knows of executions that no service has
ever heard of.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "LOSSLINE_FAULT_RECORDS"
"""Names the file; steps read it."""

BEGAN, ENDED = "began", "ended"


@dataclass(frozen=True)
class Record:
    """One line. `at` in seconds, on the monotonic clock of this machine."""

    what: str
    run_uuid: str
    slug: str
    attempt: str
    pid: int
    at: float


def append(path: Path, what: str, run_uuid: str, slug: str, attempt: str) -> None:
    """Add a line. Lines this short are written whole, whoever else writes."""
    line = json.dumps(asdict(Record(what, run_uuid, slug, attempt, os.getpid(), time.monotonic())))
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def read(path: Path) -> list[Record]:
    """All lines so far."""
    if not path.exists():
        return []
    return [Record(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def executions(records: Iterable[Record], run_uuid: str) -> Counter[str]:
    """How often each sub-task of a run was begun."""
    return Counter(record.slug for record in records if record.what == BEGAN and record.run_uuid == run_uuid)


def running(records: Iterable[Record], run_uuid: str) -> list[Record]:
    """What has begun and not ended, of a run; a killed one never ends."""
    ended = {record.attempt for record in records if record.what == ENDED}
    return [each for each in records if each.what == BEGAN and each.run_uuid == run_uuid and each.attempt not in ended]
