"""How far the current runs of analyses are, from the counters of their stages."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from services.api.among import among
from shared.core.plan import Phase, RunMode
from shared.core.states import SubTaskState
from shared.database.execution import ReportedProgress, Run, StageRow, SubTask


@dataclass
class Progress:
    """Of one run."""

    run_mode: str = RunMode.V2
    counts: dict[str, int] = field(default_factory=dict)
    """Sub-tasks by state, and of all states as `size`."""
    error_ids: list[int] = field(default_factory=list)
    events_total: int = 0
    events_complete: int = 0

    def note_events(self, total: int, complete: int) -> None:
        """Keep the furthest of what several have told."""
        self.events_total = max(self.events_total, total)
        self.events_complete = max(self.events_complete, complete)

    def of_analysis(self) -> "Progress":
        """As an analysis shows it: a run of v1 has no sub-tasks for its clients."""
        return replace(self, counts={}, error_ids=[]) if self.run_mode == RunMode.V1 else self

    def status_count(self) -> dict[str, int]:
        """The counts as clients read them."""
        count = self.counts.get
        waiting = [count(name, 0) for name in ("pending", "queued", "started")]
        return {
            "TOTAL_IN_QUEUE": sum(waiting),
            "TOTAL": count("size", 0),
            "PENDING": waiting[0],
            "QUEUED": waiting[1],
            "STARTED": waiting[2],
            "COMPLETED": count("completed", 0),
            "CANCELLED": count("cancelled", 0),
            "ERROR": count("error", 0),
        }


_COUNTERS = ("size", "pending", "queued", "started", "completed", "error", "cancelled")


def progress_of(session: Session, run_ids: Iterable[int]) -> dict[int, Progress]:
    """The progress of every run, by its id."""
    runs = {run_id: Progress() for run_id in run_ids}
    if runs:
        for run_id, run_mode, *sums in session.execute(_counts(runs)):
            runs[run_id].run_mode = run_mode
            runs[run_id].counts = {name: int(value) for name, value in zip(_COUNTERS, sums, strict=True)}
        for run_id, sub_task_id in session.execute(_errors(runs)):
            runs[run_id].error_ids.append(sub_task_id)
        for query in (_events(runs), _reported(runs)):
            for run_id, total, complete in session.execute(query):
                runs[run_id].note_events(int(total), int(complete))
    return runs


def _counts(runs: Iterable[int]) -> Any:
    sums = [func.sum(getattr(StageRow, name)).label(name) for name in _COUNTERS]
    query = select(Run.id, Run.run_mode, *sums).join(StageRow, StageRow.run_id == Run.id)
    return query.where(among(Run.id, runs)).group_by(Run.id)


def _errors(runs: Iterable[int]) -> Any:
    failed = (among(SubTask.run_id, runs), SubTask.state == SubTaskState.ERROR)
    return select(SubTask.run_id, SubTask.id).where(*failed).order_by(SubTask.id)


def _events(runs: Iterable[int]) -> Any:
    """Events of the losses by run: in total, and complete, both as far as anybody has told.

    Kernels do not tell of their last events. The event set is dealt out to chunks evenly, so a completed chunk counts
    for its share at least, and with the last chunk all events are complete.
    """
    of_losses = (StageRow.run_id == SubTask.run_id) & (StageRow.position == SubTask.stage)
    total = func.max(SubTask.events_total).over(partition_by=SubTask.run_id)
    columns = (SubTask.run_id, total.label("total"), SubTask.events_complete, SubTask.state, StageRow.parallel)
    query = select(*columns, StageRow.size, StageRow.completed).join(StageRow, of_losses)
    told = query.where(among(SubTask.run_id, runs), StageRow.phase == Phase.LOSSES).subquery("told").c
    share = case((told.parallel & (told.state == SubTaskState.COMPLETED), told.total // told.size), else_=0)
    complete = func.sum(func.greatest(told.events_complete, share))
    is_whole = func.bool_or(told.parallel & (told.completed == told.size))
    counted = case((is_whole, func.max(told.total)), else_=func.least(complete, func.max(told.total)))
    return select(told.run_id, func.max(told.total), counted).group_by(told.run_id)


def _reported(runs: Iterable[int]) -> Any:
    """What workers of somebody else have told, who may tell of an event twice."""
    total, complete = ReportedProgress.events_total, ReportedProgress.events_complete
    return select(ReportedProgress.run_id, total, func.least(complete, total)).where(
        among(ReportedProgress.run_id, runs)
    )
