"""What the progress display says, from the API's JSON; no terminal in here.

A snapshot is the JSON of an analysis and of its `sub_task_list`; lines are what a display shows of it, and changes are
what a log of it would say.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from .formats import count, duration
from .stages import stage_of

ENDED = ("COMPLETED", "ERROR", "CANCELLED")
_LOUDEST_FIRST = ("ERROR", "CANCELLED", "STARTED")


@dataclass(frozen=True)
class SubTask:
    """A sub-task as the API shows it. `worker` is known only where the caller knows it; the API has no such field."""

    id: int
    slug: str
    status: str
    start: datetime | None
    end: datetime | None
    retries: int
    worker: str

    def seconds(self, now: datetime) -> float | None:
        """How long it has run; None if it never started."""
        return None if self.start is None else ((self.end or now) - self.start).total_seconds()


@dataclass(frozen=True)
class Snapshot:
    """An analysis at one moment."""

    name: str
    status: str
    started: datetime | None
    finished: datetime | None
    sub_tasks: tuple[SubTask, ...]

    @property
    def completed(self) -> int:
        """How many sub-tasks are completed."""
        return sum(sub_task.status == "COMPLETED" for sub_task in self.sub_tasks)

    def elapsed(self, now: datetime) -> float:
        """Seconds since the run began, or that it took."""
        return 0.0 if self.started is None else max(((self.finished or now) - self.started).total_seconds(), 0.0)


@dataclass(frozen=True)
class Line:
    """One line of the display: a sub-task, or a stage that is folded into one line (`members` > 1)."""

    label: str
    status: str
    members: int
    completed: int
    worker: str
    seconds: float | None
    retries: int

    @property
    def state(self) -> str:
        """`started`, or `3 of 8` for a folded stage that is under way."""
        if self.members == 1 or self.completed in (0, self.members):
            return self.status.lower()
        return f"{self.status.lower()}, {self.completed} of {self.members}"


def read_snapshot(
    analysis: Mapping[str, Any], sub_tasks: Iterable[Mapping[str, Any]], workers: Mapping[str, str] | None = None
) -> Snapshot:
    """A snapshot from the answers of `analyses/{id}/` and `analyses/{id}/sub_task_list/`; `workers` maps slugs."""
    tasks = tuple(_sub_task(row, workers or {}) for row in sub_tasks)
    return Snapshot(
        name=str(analysis["name"]),
        status=str(analysis["status"]),
        started=_time(analysis.get("task_started")),
        finished=_time(analysis.get("task_finished")),
        sub_tasks=tasks,
    )


def lines(snapshot: Snapshot, now: datetime, limit: int) -> list[Line]:
    """At most `limit` lines (at least three): every sub-task, else stages, else only the stages around the present."""
    single = [_line([sub_task], now) for sub_task in snapshot.sub_tasks]
    if len(single) <= limit:
        return single
    stages = [_line(list(group), now) for _, group in groupby(snapshot.sub_tasks, key=lambda task: stage_of(task.slug))]
    return stages if len(stages) <= limit else _around_present(stages, max(limit, 3))


def changes(before: Snapshot | None, after: Snapshot, now: datetime) -> list[str]:
    """One sentence per status that changed between two snapshots, the analysis' own first."""
    clock = duration(after.elapsed(now))
    found = [] if before and before.status == after.status else [f"[{clock}] {after.name}: {after.status}"]
    known = {task.id: (task.status, task.retries) for task in before.sub_tasks} if before else {}
    changed = [task for task in after.sub_tasks if known.get(task.id, ("PENDING", 0)) != (task.status, task.retries)]
    tally = f"{after.completed} of {len(after.sub_tasks)} completed"
    told = [task for task in changed if task.status != "QUEUED" or task.retries]  # being queued at first is no news
    return found + [f"[{clock}] {_sentence(task, now)} ({tally})" for task in told]


def waiting_sentence(message: str, seconds: float) -> str:
    """`compiling numeric kernels, 42 s so far`."""
    return f"{message}, {duration(seconds)} so far"


def headline(snapshot: Snapshot, now: datetime) -> str:
    """`demo: RUN_STARTED, 7 of 17 sub-tasks completed, 1 min 12 s`; a run of v1 shows no sub-tasks."""
    total = f"{snapshot.completed} of {count(len(snapshot.sub_tasks), 'sub-task')} completed, "
    return f"{snapshot.name}: {snapshot.status}, {total if snapshot.sub_tasks else ''}{duration(snapshot.elapsed(now))}"


def _sentence(task: SubTask, now: datetime) -> str:
    seconds = task.seconds(now)
    parts = [f"{task.slug} {task.status.lower()}"]
    if task.status in ENDED and seconds is not None:
        parts.append(f"after {duration(seconds)}")
    if task.worker:
        parts.append(f"on {task.worker}")
    if task.retries:
        parts.append(f"with {count(task.retries, 'retry')}")
    return " ".join(parts)


def _sub_task(row: Mapping[str, Any], workers: Mapping[str, str]) -> SubTask:
    slug = str(row["slug"])
    return SubTask(
        id=int(row["id"]),
        slug=slug,
        status=str(row["status"]),
        start=_time(row.get("start_time")),
        end=_time(row.get("end_time")),
        retries=int(row.get("retry_count") or 0),
        worker=workers.get(slug, ""),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _line(tasks: Sequence[SubTask], now: datetime) -> Line:
    first = tasks[0]
    return Line(
        label=first.slug if len(tasks) == 1 else f"{stage_of(first.slug)} x {len(tasks)}",
        status=_common_status(tasks),
        members=len(tasks),
        completed=sum(task.status == "COMPLETED" for task in tasks),
        worker=first.worker if len(tasks) == 1 else "",
        seconds=_span(tasks, now),
        retries=sum(task.retries for task in tasks),
    )


def _common_status(tasks: Sequence[SubTask]) -> str:
    seen = Counter(task.status for task in tasks)
    if len(seen) == 1:
        return tasks[0].status
    loudest = next((status for status in _LOUDEST_FIRST if seen[status]), None)
    return loudest or ("STARTED" if seen["COMPLETED"] else "QUEUED")


def _span(tasks: Sequence[SubTask], now: datetime) -> float | None:
    starts = [task.start for task in tasks if task.start is not None]
    if not starts:
        return None
    running = any(task.status not in ENDED for task in tasks)
    ends = [task.end for task in tasks if task.end is not None]
    return ((now if running or not ends else max(ends)) - min(starts)).total_seconds()


def _around_present(stages: list[Line], limit: int) -> list[Line]:
    """A window around the first stage that has not ended; what is cut off is one line on either side."""
    present = next((i for i, stage in enumerate(stages) if stage.status not in ENDED), len(stages) - 1)
    room = limit - 2
    begin = min(max(present - 1, 0), len(stages) - room)
    end = begin + room
    before, after = stages[:begin], stages[end:]
    return _cut("earlier", before) + stages[begin:end] + _cut("later", after)


def _cut(which: str, hidden: list[Line]) -> list[Line]:
    if not hidden:
        return []
    loud = next((line.status for line in hidden if line.status == "ERROR"), hidden[0].status)
    members, completed = sum(line.members for line in hidden), sum(line.completed for line in hidden)
    retries = sum(line.retries for line in hidden)
    return [Line(f"{count(len(hidden), which + ' stage')}", loud, members, completed, "", None, retries)]
