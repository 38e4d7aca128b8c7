"""The gap between successive sub-tasks: from the end of one attempt's work to the start of the next one's process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any

from sqlalchemy import Engine, select

from shared.database.execution import Attempt, SubTask


@dataclass(frozen=True)
class Stay:
    """One accepted attempt, by the clock of its worker."""

    stage: int
    worker_id: str
    slot: int
    started: datetime
    finished: datetime


def stays_of(engine: Engine, run_id: int) -> list[Stay]:
    """The attempts of a completed run whose start and end were reported."""
    columns = (SubTask.stage, Attempt.worker_id, Attempt.slot, Attempt.started_at, Attempt.finished_at)
    query = select(*columns).join(Attempt, Attempt.attempt_id == SubTask.attempt_id).where(SubTask.run_id == run_id)
    with engine.connect() as connection:
        rows: Sequence[Any] = connection.execute(query.where(Attempt.started_at.is_not(None))).all()
    return [Stay(*row) for row in rows]


def gaps(stays: Sequence[Stay]) -> list[float]:
    """Seconds between successive sub-tasks: of one slot within a stage, and from a stage's last to the next's first.

    A slot that ends while the last sub-tasks of its stage still run elsewhere has no gap: nothing was ready for it.
    """
    stages = [list(group) for _, group in groupby(sorted(stays, key=attrgetter("stage")), key=attrgetter("stage"))]
    within = [gap for stage in stages for gap in _within(stage)]
    between = [
        (min(map(attrgetter("started"), after)) - max(map(attrgetter("finished"), before))).total_seconds()
        for before, after in pairwise(stages)
    ]
    return within + between


def _within(stage: Sequence[Stay]) -> Iterator[float]:
    place = attrgetter("worker_id", "slot")
    for _, of_slot in groupby(sorted(stage, key=attrgetter("worker_id", "slot", "started")), key=place):
        for before, after in pairwise(of_slot):
            yield (after.started - before.finished).total_seconds()
