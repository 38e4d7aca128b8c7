"""The stages of a completed run with the times of their attempts, and what is known of the costs of their chunks."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.api.speedup import Section, Slice, TimedStage, TimedSubTask
from shared.codec import from_plain
from shared.core.chunk_learning import Learned, learn_lookup, learn_losses
from shared.core.inputs import ChunkingFacts
from shared.core.states import AttemptState
from shared.database.chunk_history import LOOKUP_STEP, LOSS_STEP, past_sections
from shared.database.execution import Attempt, Run, StageRow, SubTask, Worker


@dataclass(frozen=True)
class Crew:
    """The workers of the model's queue that a run had, and the slots of the largest of them."""

    workers: int
    slots_per_worker: int


def stages_of_run(session: Session, run: Run) -> list[TimedStage]:
    """In the order of the plan; a copied sub-task has the attempts of its original."""
    attempts = _attempts(session, run)
    sub_tasks: dict[int, list[TimedSubTask]] = defaultdict(list)
    query = select(SubTask.id, SubTask.stage, SubTask.slug, SubTask.copied_from_id).where(SubTask.run_id == run.id)
    for row in session.execute(query.order_by(SubTask.stage, SubTask.chunk)):
        copied = row.copied_from_id is not None
        found = attempts.get(row.copied_from_id or row.id, ())
        sub_tasks[row.stage].append(TimedSubTask(row.slug, found, copied))
    stages = session.scalars(select(StageRow).where(StageRow.run_id == run.id).order_by(StageRow.position))
    return [TimedStage(stage.step, stage.parallel, sub_tasks[stage.position]) for stage in stages]


def crew_of(session: Session, run: Run) -> Crew:
    """At least one worker of one slot, also where nothing is known of them any more."""
    query = (
        select(func.count(Attempt.worker_id.distinct()), func.max(Worker.slots))
        .join(SubTask, SubTask.id == Attempt.sub_task_id)
        .outerjoin(Worker, Worker.worker_id == Attempt.worker_id)
        .where(Attempt.run_id == run.id, SubTask.queue == run.model_queue)
    )
    workers, slots = session.execute(query).one()
    return Crew(max(workers, 1), max(slots or 1, 1))


def sections_of(session: Session, run: Run, stages: Iterable[TimedStage]) -> dict[str, Section]:
    """What the history of the model, this run included, says of the parallel stages, by step. Raises Unreadable."""
    facts = from_plain(ChunkingFacts, run.facts)
    learn = {LOOKUP_STEP: learn_lookup, LOSS_STEP: learn_losses}
    found = {}
    for step in (stage.step for stage in stages if stage.step in learn):
        past = past_sections(session.connection(), run.model_queue, step)
        found[step] = _section(learn[step](past, facts), facts.options.dynamic_chunks_max)
    return found


def _section(learned: Learned, most: int) -> Section:
    missing = learned.costs is None or learned.work is None
    return Section(learned.costs, learned.work, most, learned.unknown if missing else "")


def _attempts(session: Session, run: Run) -> dict[int, list[Slice]]:
    copies = select(SubTask.copied_from_id).where(SubTask.run_id == run.id, SubTask.copied_from_id.is_not(None))
    own = select(SubTask.id).where(SubTask.run_id == run.id)
    columns: Any = select(Attempt.sub_task_id, Attempt.granted_at, Attempt.ended_at, Attempt.state)
    ended = columns.where(Attempt.ended_at.is_not(None), Attempt.sub_task_id.in_(own.union_all(copies)))
    found: dict[int, list[Slice]] = defaultdict(list)
    for row in session.execute(ended.order_by(Attempt.fence)):
        found[row.sub_task_id].append(Slice(row.granted_at, row.ended_at, row.state == AttemptState.COMPLETED))
    return found
