"""Rows of a platform in some state, written as they stand, for the doctor to find."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from shared.core.states import AttemptState, RunState, SubTaskState
from shared.database.execution import Attempt, Outbox, Run, StageRow, SubTask, UnservedQueue, Worker
from shared.database.resources import Analysis, Model, Portfolio

MODEL_QUEUE = "OasisLMF-Test-1-v2"


class Rows:
    """Writes rows; moments are given in seconds before now."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.connect() as connection:
            self.now: datetime = connection.execute(select(func.now())).scalar_one()
        model = Model(supplier_id="OasisLMF", model_id="Test", version_id="1", run_mode="V2")
        self._portfolio_id = self._add(Portfolio(name="homes"))
        self._model_id = self._add(model)

    def ago(self, seconds: float) -> datetime:
        """A moment in the past."""
        return self.now - timedelta(seconds=seconds)

    def analysis(self, **more: Any) -> int:
        """An analysis; its id."""
        return self._add(Analysis(name="storm", portfolio_id=self._portfolio_id, model_id=self._model_id, **more))

    def run(self, state: RunState, requested: float, analysis_id: int | None = None, **more: Any) -> int:
        """A run; its id."""
        analysis_id = analysis_id or self.analysis()
        run = Run(run_uuid=uuid4().hex, analysis_id=analysis_id, kind="generate_losses", state=state, priority=4)
        run.model_queue, run.requested_at = MODEL_QUEUE, self.ago(requested)
        for name, value in more.items():
            setattr(run, name, value)
        return self._add(run)

    def stage(self, run_id: int, size: int = 4, **counters: int) -> None:
        """The one stage of a run; what is not counted is pending."""
        pending = size - sum(counters.values())
        stage = StageRow(run_id=run_id, position=0, step="losses", phase="losses", queue=MODEL_QUEUE, size=size)
        stage.parallel, stage.optional, stage.pending = True, False, pending
        for name, value in counters.items():
            setattr(stage, name, value)
        with Session(self._engine) as session:
            session.add(stage)
            session.commit()

    def sub_task(self, run_id: int, state: SubTaskState, chunk: int = 0, **more: Any) -> int:
        """A chunk; its id."""
        sub_task = SubTask(run_id=run_id, stage=0, chunk=chunk, slug=f"losses-{chunk}", name="Losses", state=state)
        sub_task.queue, sub_task.weight, sub_task.priority = MODEL_QUEUE, "one", 4
        sub_task.requested_at = self.ago(100)
        for name, value in more.items():
            setattr(sub_task, name, value)
        return self._add(sub_task)

    def attempt(self, sub_task_id: int, run_id: int, worker_id: str, lease_until: datetime, **more: Any) -> None:
        """An attempt, running unless told otherwise."""
        attempt = Attempt(attempt_id=uuid4(), sub_task_id=sub_task_id, run_id=run_id, worker_id=worker_id, fence=1)
        attempt.state, attempt.lease_until = more.get("state", AttemptState.RUNNING), lease_until
        with Session(self._engine) as session:
            session.add(attempt)
            session.commit()

    def worker(self, worker_id: str, seen: float = 1.0, **more: Any) -> None:
        """A worker that was last heard of so many seconds ago."""
        worker = Worker(worker_id=worker_id, queue=MODEL_QUEUE, host="host-1", slots=2, free_slots=2, draining=False)
        worker.last_seen = self.ago(seen)
        for name, value in more.items():
            setattr(worker, name, value)
        with Session(self._engine) as session:
            session.add(worker)
            session.commit()

    def outbox(self, created: float, **more: Any) -> None:
        """A message that was committed so many seconds ago."""
        with Session(self._engine) as session:
            session.add(Outbox(created=self.ago(created), routing_key="task-controller", body=b"{}", **more))
            session.commit()

    def unserved(self, queue: str, reason: str, told: float) -> None:
        """Why nobody serves a queue, as was said so many seconds ago."""
        with Session(self._engine) as session:
            session.add(UnservedQueue(queue=queue, reason=reason, told_at=self.ago(told)))
            session.commit()

    def _add(self, row: Any) -> int:
        with Session(self._engine) as session:
            session.add(row)
            session.commit()
            return int(row.id)
