"""Runs that have ended, with what their completed sub-tasks have left."""

import io
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from shared.core.plan import Phase, attempt_prefix
from shared.database.execution import Attempt, RunFile, StageRow, SubTask
from shared.database.resources import File
from shared.object_store import ObjectStore
from tests.api.api_client import ANALYSIS_SETTINGS, Api
from tests.api.executed import Execution, record_file

CHUNKS = {"fixed_lookup_chunks": 2, "fixed_analysis_chunks": 2}
STATUSES = {
    ("FAILED", Phase.INPUTS): "INPUTS_GENERATION_ERROR",
    ("FAILED", Phase.LOSSES): "RUN_ERROR",
    ("CANCELLED", Phase.INPUTS): "INPUTS_GENERATION_CANCELLED",
    ("CANCELLED", Phase.LOSSES): "RUN_CANCELLED",
}


class EndedRun(Execution):
    """A generate_and_run of two chunks each, which is worked off as far as the test wants, and then ends."""

    def complete(self, slug: str) -> str:
        """Complete a sub-task, which leaves an object of its name and a log; the object's key."""
        sub_task = self.sub_task(slug)
        stage = self.session.get_one(StageRow, (self.run.id, sub_task.stage))
        self.attempt(slug, "completed", f"log of {slug}\n")
        attempt = self.session.query(Attempt).filter_by(sub_task_id=sub_task.id).one()
        prefix = attempt_prefix(Phase(stage.phase), self.analysis_id, self.run.run_uuid, str(attempt.attempt_id))
        key = f"{prefix}{slug}.out"
        self.store.put(key, io.BytesIO(slug.encode()))
        artifacts = {slug: {"key": key, "filename": f"{slug}.out"}}
        self.move(slug, "COMPLETED", artifacts=artifacts, attempt_id=attempt.attempt_id)
        if not stage.parallel:
            stage.artifacts = artifacts
            self._commit()
        return key

    def complete_before(self, slug: str) -> list[str]:
        """Complete every sub-task of the plan that comes before this one; the keys."""
        rows = self.session.query(SubTask).filter_by(run_id=self.run.id).order_by(SubTask.id).all()
        slugs = [row.slug for row in rows]
        with self.in_one_transaction():
            return [self.complete(each) for each in slugs[: slugs.index(slug)]]

    def stop(self, state: str, phase: Phase) -> None:
        """The run has ended, and the analysis says so."""
        with self.in_one_transaction():
            for sub_task in self.session.query(SubTask).filter_by(run_id=self.run.id).all():
                if sub_task.state != "COMPLETED":
                    self.move(sub_task.slug, "CANCELLED")
        self.end(state, ended_at=datetime.now(UTC), lookup_chunks=2, loss_chunks=2)
        column = "inputs_traceback_run_id" if phase == Phase.INPUTS else "losses_traceback_run_id"
        self.analysis(status=STATUSES[state, phase], run_mode=None, **{column: self.run.id})


def ended_run(api: Api, session: Session, store: ObjectStore, **rest: Any) -> EndedRun:
    """A generate_and_run, planned, of which nothing is done."""
    model = api.model()
    api.post(f"models/{model['id']}/chunking_configuration/", CHUNKS)
    analysis = api.analysis(model=model, settings=ANALYSIS_SETTINGS, **rest)
    assert api.post(f"analyses/{analysis['id']}/generate_and_run/").status_code == 200
    return EndedRun(session, store, analysis)


def record(execution: EndedRun, field: str, content: bytes) -> File:
    """A file of the analysis that the run has recorded."""
    analysis = {"id": execution.analysis_id}
    file = record_file(execution.session, execution.store, analysis, field, content, f"{field}.txt", "text/plain")
    execution.session.add(RunFile(run_id=execution.run.id, name=field, file_id=file.id))
    execution.session.commit()
    return file
