"""The runs of an analysis as the retention looks at them."""

from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased

from services.worker_monitor.retention import PastRun
from shared.core.states import RunState
from shared.database.execution import Run, StageRow, SubTask


@dataclass(frozen=True)
class Named:
    """The runs that the row of the analysis names: the current one, and those that its traceback files show."""

    current: int | None
    shown: frozenset[int | None]


@dataclass(frozen=True)
class NamedRun:
    """A run and what its objects are called by."""

    past: PastRun
    run_uuid: str


def past_runs(connection: Connection, analysis_id: int, named: Named) -> list[NamedRun]:
    """All runs of the (locked) analysis, newest first."""
    began_with = _began_with(connection, analysis_id)
    query = select(Run.__table__).where(Run.analysis_id == analysis_id).order_by(Run.id.desc())
    return [
        NamedRun(
            PastRun(
                run_id=row.id,
                state=RunState(row.state),
                ended_at=row.ended_at,
                is_current=row.id == named.current,
                is_shown=row.id in named.shown,
                has_objects=row.objects_swept_at is None,
                began_with=frozenset(began_with.get(row.id, ())),
            ),
            row.run_uuid,
        )
        for row in connection.execute(query)
    ]


def _began_with(connection: Connection, analysis_id: int) -> dict[int, set[int]]:
    original = aliased(SubTask)
    copied = (
        select(SubTask.run_id, original.run_id.label("origin"))
        .join(original, original.id == SubTask.copied_from_id)
        .join(Run, Run.id == SubTask.run_id)
        .where(Run.analysis_id == analysis_id)
        .distinct()
    )
    # Without a plan it has copied nothing yet, and refers to the run that it is going to copy from.
    has_plan = select(StageRow.run_id).where(StageRow.run_id == Run.id).exists()
    unplanned = select(Run.id.label("run_id"), Run.resumed_from_id.label("origin")).where(
        Run.analysis_id == analysis_id, Run.resumed_from_id.is_not(None), ~has_plan
    )
    found: dict[int, set[int]] = {}
    for row in connection.execute(copied.union_all(unplanned)):
        found.setdefault(row.run_id, set()).add(row.origin)
    return found
