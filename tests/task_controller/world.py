"""What the tests of the task controller say and see: analyses, requests, claims, reports, and the rows that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from services.task_controller.handlers import Reply, handle
from services.task_controller.settings import Settings
from shared.codec import from_plain
from shared.core.chunking import ChunkingOptions
from shared.core.inputs import ChunkingFacts, FileRef, RunInputs
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.core.states import RunKind, SubTaskState
from shared.database.execution import Attempt, Outbox, Run, StageRow, SubTask
from shared.database.requests import RunRequest, cancel_run, change_priority, lock_analysis, request_run
from shared.database.resources import Analysis, Model, Portfolio, User
from shared.database.transactions import in_working_set
from shared.messages.catalogue import (
    AttemptFinished,
    CancelRun,
    ChangePriority,
    ClaimAnswered,
    ClaimWork,
    Grant,
    Message,
    StartRun,
    WorkerDied,
)
from shared.messages.envelope import decode

MODEL_QUEUE = "OasisLMF-Test-1-v2"
V1_QUEUE = "OasisLMF-Test-1"


@dataclass
class World:
    """One database, seen and driven. `tell` is what the intake does with a batch of messages."""

    engine: Engine
    settings: Settings
    portfolio_id: int = field(init=False)
    model_id: int = field(init=False)

    def __post_init__(self) -> None:
        with Session(self.engine) as session:
            user = User(username="ana")
            model = Model(supplier_id="OasisLMF", model_id="Test", version_id="1", run_mode="V2")
            portfolio = Portfolio(name="homes")
            session.add_all([user, model, portfolio])
            session.commit()
            self.portfolio_id, self.model_id = portfolio.id, model.id

    # What users do

    def analysis(self, status: str = "NEW", priority: int = 4) -> int:
        """A new analysis; its id."""
        with Session(self.engine) as session:
            analysis = Analysis(
                name="storm", portfolio_id=self.portfolio_id, model_id=self.model_id, status=status, priority=priority
            )
            session.add(analysis)
            session.commit()
            return analysis.id

    def request(self, analysis_id: int, kind: RunKind, lookups: int = 1, losses: int = 1, **more: Any) -> int:
        """Request a run as the API does, in one transaction; its id."""
        options = ChunkingOptions(fixed_lookup_chunks=lookups, fixed_analysis_chunks=losses)
        facts = more.pop("facts", ChunkingFacts(options, location_rows=more.pop("rows", 1_000_000)))
        inputs = more.pop("inputs", RunInputs({"location_file": FileRef("uploads/1.csv", "location.csv")}))
        with Session(self.engine) as session:
            analysis = lock_analysis(session, analysis_id)
            assert analysis is not None
            mode = more.pop("mode", "V2")
            queue = MODEL_QUEUE if mode == "V2" else V1_QUEUE
            run = request_run(session, analysis, RunRequest(kind, mode, queue, inputs, facts, None))
            session.commit()
            return run.id

    def started(self, kind: RunKind, lookups: int = 1, losses: int = 1, priority: int = 4, **more: Any) -> int:
        """A planned run of a new analysis; its id."""
        before = "READY" if kind == RunKind.GENERATE_LOSSES else "NEW"
        run_id = self.request(self.analysis(before, priority), kind, lookups, losses, **more)
        self.tell(StartRun(run_id))
        return run_id

    def cancel(self, run_id: int) -> None:
        """Cancel as the API does: the row is the cancel, nothing has been told yet."""
        with Session(self.engine) as session:
            analysis = lock_analysis(session, self.analysis_of(run_id))
            assert analysis is not None
            cancel_run(session, analysis)
            session.commit()

    def set_priority(self, run_id: int, priority: int) -> None:
        """Change the priority as the API does, and hear of it."""
        with Session(self.engine) as session:
            analysis = lock_analysis(session, self.analysis_of(run_id))
            assert analysis is not None
            change_priority(session, analysis, priority)
            session.commit()
        self.tell(ChangePriority(run_id, priority))

    # What workers say

    def tell(self, *messages: Message) -> list[Reply]:
        """Handle a batch of messages in one transaction; the replies."""
        return in_working_set(self.engine, self.settings.policy, lambda work: handle(work, self.settings, messages))

    def claim(self, queue: str = MODEL_QUEUE, worker: str = "w1", claim_id: UUID | None = None) -> Grant | None:
        """Claim one sub-task."""
        (reply,) = self.tell(ClaimWork(claim_id or uuid4(), worker, queue, 0))
        assert isinstance(reply.message, ClaimAnswered)
        assert reply.worker_id == worker
        return reply.message.grant

    def granted(self, queue: str = MODEL_QUEUE, worker: str = "w1") -> Grant:
        """Claim one sub-task that must be there."""
        grant = self.claim(queue, worker)
        assert grant is not None, f"nothing is ready on {queue}"
        return grant

    def finish(self, grant: Grant, cause: Cause | None = None, worker: str = "w1", **more: Any) -> Message:
        """Report the end of an attempt; the answer."""
        (reply,) = self.tell(AttemptFinished(grant.attempt_id, worker, cause, **more))
        return reply.message

    def died(self, worker: str = "w1") -> None:
        """Report the death of a worker."""
        self.tell(WorkerDied(worker, "exit status 137"))

    def work_off(self, at_most: int = 1000) -> list[str]:
        """Claim and complete until nothing is ready; the slugs in their order."""
        slugs: list[str] = []
        while len(slugs) < at_most:
            grant = self.claim() or self.claim(RECORDER_QUEUE)
            if grant is None:
                break
            self.finish(grant, artifacts={grant.step: FileRef(f"{grant.key_prefix}out", grant.slug)})
            slugs.append(grant.slug)
        return slugs

    def work_up_to(self, slug: str) -> None:
        """Work off until the sub-task of this slug is ready."""
        while self.state_of(slug) == SubTaskState.PENDING:
            assert self.work_off(at_most=1), f"{slug} never becomes ready"

    def fail_for_good(self, cause: Cause = Cause.MODEL_ERROR, queue: str = MODEL_QUEUE) -> Grant:
        """Claim one sub-task and fail it until its retries are used up; the last grant."""
        tries = self.settings.policy.retries[cause] + 1
        for _ in range(tries):
            grant = self.granted(queue)
            self.finish(grant, cause, message="it broke")
            self.end_back_off()
        return grant

    def end_back_off(self) -> None:
        """Let the time of every waiting retry come."""
        with self.engine.begin() as connection:
            connection.execute(update(SubTask).values(not_before=None))
            connection.execute(update(Outbox).values(not_before=None))

    # What can be seen

    def analysis_of(self, run_id: int) -> int:
        """The analysis of a run."""
        return int(self.value(select(Run.analysis_id).where(Run.id == run_id)))

    def status(self, run_id: int) -> str:
        """The status of the analysis of a run."""
        return str(self.value(select(Analysis.status).where(Analysis.id == self.analysis_of(run_id))))

    def run_state(self, run_id: int) -> str:
        """The state of a run."""
        return str(self.value(select(Run.state).where(Run.id == run_id)))

    def state_of(self, slug: str) -> str:
        """The state of the newest sub-task of this slug."""
        return str(self.value(select(SubTask.state).where(SubTask.slug == slug).order_by(SubTask.id.desc()).limit(1)))

    def sub_tasks(self, run_id: int) -> list[Any]:
        """The sub-tasks of a run, in their order."""
        with self.engine.connect() as connection:
            return list(
                connection.execute(select(SubTask.__table__).where(SubTask.run_id == run_id).order_by(SubTask.id))
            )

    def states(self, run_id: int) -> dict[str, str]:
        """The state of each sub-task of a run by its slug."""
        return {row.slug: row.state for row in self.sub_tasks(run_id)}

    def attempt(self, attempt_id: UUID) -> Any:
        """The row of an attempt."""
        with self.engine.connect() as connection:
            return connection.execute(select(Attempt.__table__).where(Attempt.attempt_id == attempt_id)).one()

    def posted(self, kind: type[Message] | None = None) -> list[Any]:
        """The rows of the outbox, in their order, of one kind of message or of all."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(Outbox.__table__).order_by(Outbox.id)).all()
        return [row for row in rows if kind is None or isinstance(decode(row.body), kind)]

    def value(self, query: Any) -> Any:
        """The one value of a query."""
        with self.engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def check_counters(self, run_id: int) -> None:
        """The counters of every stage are what its sub-tasks say."""
        with self.engine.connect() as connection:
            query = select(SubTask.stage, SubTask.state, func.count()).where(SubTask.run_id == run_id)
            counted = {(row[0], row[1]): row[2] for row in connection.execute(query.group_by("stage", "state"))}
            stages = connection.execute(select(StageRow.__table__).where(StageRow.run_id == run_id)).all()
        for stage in (row._mapping for row in stages):
            counters = {state: stage[state.lower()] for state in SubTaskState}
            assert counters == {state: counted.get((stage["position"], state), 0) for state in SubTaskState}


def references(plain: Mapping[str, Any]) -> dict[str, FileRef]:
    """Artifacts as they stand in a row."""
    return {name: from_plain(FileRef, value) for name, value in plain.items()}


def cancel_is_heard(world: World, run_id: int) -> None:
    """Cancel, and let the task controller hear of it."""
    world.cancel(run_id)
    world.tell(CancelRun(run_id))
