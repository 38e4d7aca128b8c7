"""The promise as one function: what is looked at when the dust has settled, in all places where it could be broken."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from sqlalchemy import Row, select
from sqlalchemy.exc import OperationalError

from shared import names
from shared.broker.errors import BrokerError
from shared.core.plan import RECORDER_QUEUE, Phase, log_prefix, storage_prefix
from shared.core.states import RunState, SubTaskState
from shared.database.execution import Removal
from shared.database.resources import File
from tests.faults import records
from tests.faults.platform.analyses import Submitted
from tests.faults.platform.launching import MARK
from tests.faults.platform.platform import BrokenPlatform
from tests.faults.platform.promise_database import Told, broken_promises, look

_HEARTBEATS_UNDER_WAY = 20


@dataclass(frozen=True)
class Expected:
    """What must come of an analysis."""

    analysis: Submitted
    status: str
    output: bytes | None = None
    """That of an undisturbed run; None where there is none."""


class PromiseBroken(AssertionError):
    """Something was lost, done twice, or left."""


def check_promise(
    platform: BrokenPlatform, expected: Sequence[Expected], *, within: float = 60.0, parked: int | None = 0
) -> None:
    """Wait until everything holds, for so many seconds. Raises PromiseBroken with everything that does not.

    `parked` messages are rightly in the parking queue; None does not look.
    """
    deadline = time.monotonic() + within
    # To look everywhere takes its time, which those that are still at work would rather have.
    while time.monotonic() < deadline and not all(each.analysis.has_ended() for each in expected):
        time.sleep(0.1)
    while problems := _problems(platform, expected, parked):
        if time.monotonic() > deadline:
            raise PromiseBroken("\n".join(problems))
        time.sleep(0.2)


def _problems(platform: BrokenPlatform, expected: Sequence[Expected], parked: int | None) -> list[str]:
    try:
        told = look(platform.engine)
        problems = [
            *broken_promises(told),
            *(text for each in expected for text in _analysis(each)),
            *_processes(platform, told),
            *_queues(platform, parked),
            *_executions(platform, told),
        ]
        return problems or list(_objects(platform, told))
    except (OperationalError, BrokerError) as error:
        return [f"a part cannot be reached: {error}"]


def _analysis(expected: Expected) -> Iterator[str]:
    analysis = expected.analysis
    status = analysis.status()
    if status != expected.status:
        yield f"analysis {analysis.analysis_id} is {status}, not {expected.status}"
    elif expected.output is not None and analysis.output() != expected.output:
        yield f"the output of analysis {analysis.analysis_id} is not that of an undisturbed run"


def _processes(platform: BrokenPlatform, told: Told) -> Iterator[str]:
    """When nothing is under way there is no process of any attempt."""
    live = {str(each.attempt_id) for each in told.attempts if each.ended_at is None}
    for attempt, process in processes_of_attempts(platform):
        if attempt not in live:
            yield f"a process of attempt {attempt}, which has ended, is alive: {process}"


def processes_of_attempts(platform: BrokenPlatform) -> Iterator[tuple[str, psutil.Process]]:
    """Living processes of this platform with the attempt that they belong to, whoever is their parent by now."""
    for process in psutil.process_iter():
        try:
            environ = process.environ()
            is_ours = environ.get(MARK) == str(platform.layout.home)
            attempt = environ.get("LOSSLINE_ATTEMPT", "").strip("-")
            if is_ours and attempt and process.status() != psutil.STATUS_ZOMBIE:
                yield attempt, process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _queues(platform: BrokenPlatform, parked: int | None) -> Iterator[str]:
    """Tokens die by the claims that they lead to; reports and commands have been read; nothing was parked."""
    limits = {
        names.TASK_CONTROLLER_QUEUE: 0,
        names.MONITOR_QUEUE: 0,
        names.HEARTBEAT_QUEUE: _HEARTBEATS_UNDER_WAY,
        RECORDER_QUEUE: 0,
        platform.queue: 0,
    }
    depths = platform.observer.queue_depths([*limits, names.PARKED_QUEUE])
    for queue, limit in limits.items():
        if queue not in depths:
            yield f"the queue {queue} is not there"
        elif depths[queue].messages > limit:
            yield f"{depths[queue].messages} messages are left on {queue}"
    there = depths[names.PARKED_QUEUE].messages if names.PARKED_QUEUE in depths else 0
    if parked is not None and there != parked:
        yield f"{there} messages are parked, not {parked}"


def _executions(platform: BrokenPlatform, told: Told) -> Iterator[str]:
    """No attempt was executed twice, none that was never granted, and none of the copies of a resumed run."""
    uuids = {run.run_uuid: run.id for run in told.runs}
    granted = {str(attempt.attempt_id): attempt.run_id for attempt in told.attempts}
    copied = {(row.run_id, row.slug) for row in told.sub_tasks if row.copied_from_id is not None}
    begun = [record for record in platform.records() if record.what == records.BEGAN]
    for attempt, count in Counter(record.attempt for record in begun).items():
        if count > 1:
            yield f"attempt {attempt} was executed {count} times"
    for record in begun:
        if granted.get(record.attempt) != uuids.get(record.run_uuid):
            yield f"attempt {record.attempt} of {record.slug} was executed and never granted"
        if (uuids.get(record.run_uuid), record.slug) in copied:
            yield f"{record.slug} of run {record.run_uuid} was computed again, though it was complete"


def _objects(platform: BrokenPlatform, told: Told) -> Iterator[str]:
    """Every file has its object; every object belongs to a file or to a run that is kept; clean-ups cleaned up."""
    keys = {info.key for info in platform.launch.objects.store.list("")}
    with platform.engine.connect() as connection:
        to_go = set(connection.scalars(select(Removal.prefix)))
        owned = {row.key: row.released_at for row in connection.execute(select(File.key, File.released_at))}
    missing = {key for key, released_at in owned.items() if released_at is None} - keys
    files = owned.keys()
    if missing:
        yield f"objects of files are missing: {sorted(missing)}"
    kept = tuple(prefix for run in told.runs for prefix in _prefixes(run))
    strange = sorted(key for key in keys if key not in files | to_go and not key.startswith(kept))
    if strange:
        yield f"objects belong to nothing: {strange}"
    for run in told.runs:
        if _is_clean(told, run) and (left := [key for key in keys if key.startswith(_prefixes(run)[1:])]):
            yield f"run {run.id} was cleaned up and has left {sorted(left)}"


def _prefixes(run: Row[Any]) -> tuple[str, ...]:
    """Where objects of a run lie: its logs, then what is intermediate."""
    analysis_id, run_uuid = run.analysis_id, run.run_uuid
    return (log_prefix(run_uuid), *(storage_prefix(phase, analysis_id, run_uuid) for phase in Phase))


def _is_clean(told: Told, run: Row[Any]) -> bool:
    """Whether nothing ever went wrong in a run that completed: then all that it left in between is gone."""
    sub_tasks = told.sub_tasks_of(run.id)
    own = [each for each in sub_tasks if each.copied_from_id is None]
    once = len(told.attempts_of(run.id)) == len(own) == len(sub_tasks)
    return once and run.state == RunState.COMPLETED and all(each.state == SubTaskState.COMPLETED for each in own)
