"""What has happened before a worker monitor records: a requested run, planned and worked off by the task controller."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from services.task_controller.handlers import Reply, handle
from services.task_controller.settings import Settings
from shared.core.inputs import ChunkingFacts, FileRef, RunInputs
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.core.states import RunKind, SubTaskState
from shared.database.execution import Attempt, Run, SubTask
from shared.database.requests import RunRequest, cancel_run, lock_analysis, request_run
from shared.database.resources import Analysis, File, Model, Portfolio, User
from shared.database.transactions import in_working_set
from shared.messages.catalogue import AttemptFinished, CancelRun, ClaimAnswered, ClaimWork, Grant, Message, StartRun
from shared.object_store import ObjectStore

MODEL_QUEUE = "OasisLMF-Test-1-v2"
WORKER = "monitor-of-the-tests"

ARTIFACTS: Mapping[str, Mapping[str, str]] = {
    "write-input-files": {
        "output_location": "analysis_1_inputs.tar.gz",
        "lookup_error_location": "keys-errors.csv",
        "lookup_success_location": "gul_summary_map.csv",
        "lookup_validation_location": "exposure_summary_report.json",
        "summary_levels_location": "exposure_summary_levels.json",
        "analysis_settings_location": "analysis_settings.json",
    },
    "generate-losses-output": {
        "output_location": "output.tar.gz",
        "run_logs": "analysis_1_logs.tar.gz",
        "input_with_occurrence": "analysis_1_inputs.tar.gz",
    },
}
INPUT_COLUMNS = (
    "input_file_id",
    "lookup_errors_file_id",
    "lookup_success_file_id",
    "lookup_validation_file_id",
    "summary_levels_file_id",
    "settings_file_id",
)


@dataclass
class History:
    """One analysis with a settings file; `leaves` says which artifacts a step leaves, by file name."""

    engine: Engine
    store: ObjectStore
    leaves: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: ARTIFACTS)
    analysis_id: int = field(init=False)
    settings_key: str = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings(self.engine.url, broker="amqp://unused/", lease=10.0)
        with Session(self.engine) as session:
            user = User(username="ana", is_superuser=True)
            model = Model(supplier_id="OasisLMF", model_id="Test", version_id="1", run_mode="V2")
            portfolio = Portfolio(name="homes")
            session.add_all([user, model, portfolio])
            session.flush()
            self.user_id = user.id
            analysis = Analysis(name="storm", portfolio_id=portfolio.id, model_id=model.id)
            session.add(analysis)
            session.commit()
            self.analysis_id = analysis.id
        self.settings_key = self.upload("settings_file_id", "analysis_settings.json")

    def upload(self, column: str, filename: str) -> str:
        """Give the analysis a file, as the API does, and release the one before; its key."""
        key = f"files/{uuid4().hex}.json"
        size = self.store.put(key, BytesIO(json.dumps({"file": filename}).encode())).size
        with Session(self.engine) as session:
            file = File(key=key, filename=filename, content_type="application/json", size=size)
            session.add(file)
            analysis = session.get_one(Analysis, self.analysis_id)
            before = getattr(analysis, column)
            if before is not None:
                session.get_one(File, before).released_at = func.now()
            session.flush()
            setattr(analysis, column, file.id)
            session.commit()
        return key

    def request(self, kind: RunKind = RunKind.GENERATE_INPUTS) -> int:
        """Request a run as the API does, and let the task controller plan it; its id."""
        files = {
            "location_file": FileRef("uploads/location.csv", "location.csv"),
            "settings_file": FileRef(self.settings_key, "analysis_settings.json"),
        }
        with Session(self.engine) as session:
            analysis = lock_analysis(session, self.analysis_id)
            assert analysis is not None
            facts = ChunkingFacts(location_rows=10)
            request = RunRequest(kind, "V2", MODEL_QUEUE, RunInputs(files), facts, self.user_id)
            run_id = request_run(session, analysis, request).id
            session.commit()
        self.tell(StartRun(run_id))
        return run_id

    def fail(self, step: str, leaves: Mapping[str, str], cause: Cause = Cause.MODEL_ERROR) -> Grant:
        """Work off until the step, and fail that for good; its last attempt leaves these artifacts."""
        grant = self._claimed(step)
        while True:
            artifacts = {name: self._leave(grant, filename) for name, filename in leaves.items()}
            report = AttemptFinished(grant.attempt_id, "model-worker", cause, "it broke", artifacts=artifacts)
            self.tell(report)
            if self.sub_task(grant).state == SubTaskState.ERROR:
                return grant
            with self.engine.begin() as connection:
                connection.execute(update(SubTask).values(not_before=None))
            grant = self._claimed(step)

    def _claimed(self, step: str) -> Grant:
        while True:
            grant = self.claim(MODEL_QUEUE, "model-worker")
            assert grant is not None, f"{step} never becomes ready"
            if grant.step == step:
                return grant
            self._complete(grant)

    def cancel(self) -> None:
        """Cancel as the API does, and let the task controller hear of it."""
        with Session(self.engine) as session:
            analysis = lock_analysis(session, self.analysis_id)
            assert analysis is not None
            cancel_run(session, analysis)
            run_id = analysis.current_run_id
            session.commit()
        assert run_id is not None
        self.tell(CancelRun(run_id))

    def to_record(self, kind: RunKind = RunKind.GENERATE_INPUTS) -> Grant:
        """Request a run and work it off until its record sub-task; the grant of that."""
        self.request(kind)
        return self.next_to_record()

    def next_to_record(self, worker: str = WORKER) -> Grant:
        """Work off what the model's workers do; the grant of the next record sub-task."""
        self.work_off()
        grant = self.claim(RECORDER_QUEUE, worker)
        assert grant is not None, "no record sub-task is ready"
        return grant

    def work_off(self) -> None:
        """Claim and complete what is ready on the model's queue."""
        while (grant := self.claim(MODEL_QUEUE, "model-worker")) is not None:
            self._complete(grant)

    def _complete(self, grant: Grant) -> None:
        artifacts = {name: self._leave(grant, file) for name, file in self.leaves.get(grant.step, {}).items()}
        self.tell(AttemptFinished(grant.attempt_id, "model-worker", artifacts=artifacts))

    def claim(self, queue: str, worker: str) -> Grant | None:
        """Claim one sub-task."""
        (reply,) = self.tell(ClaimWork(uuid4(), worker, queue, 0))
        assert isinstance(reply.message, ClaimAnswered)
        return reply.message.grant

    def tell(self, *messages: Message) -> list[Reply]:
        """Let the task controller handle messages; its replies."""
        return in_working_set(self.engine, self.settings.policy, lambda work: handle(work, self.settings, messages))

    def analysis(self) -> Any:
        """The row of the analysis."""
        return self.one(select(Analysis.__table__).where(Analysis.id == self.analysis_id))

    def sub_task(self, grant: Grant) -> Any:
        """The row of the sub-task of a grant."""
        return self.one(select(SubTask.__table__).where(SubTask.id == grant.sub_task_id))

    def attempt(self, attempt_id: UUID) -> Any:
        """The row of an attempt."""
        return self.one(select(Attempt.__table__).where(Attempt.attempt_id == attempt_id))

    def run_state(self, grant: Grant) -> str:
        """The state of the run of a grant."""
        return str(self.one(select(Run.state).where(Run.id == grant.run_id)).state)

    def files(self) -> dict[int, Any]:
        """The rows of all files, by id."""
        with self.engine.connect() as connection:
            return {row.id: row for row in connection.execute(select(File.__table__))}

    def objects(self, prefix: str = "files/") -> set[str]:
        """The keys of the objects under a prefix."""
        return {info.key for info in self.store.list(prefix)}

    def text(self, key: str) -> str:
        """What an object holds."""
        with self.store.open(key) as stream:
            return stream.read().decode()

    def one(self, query: Any) -> Any:
        """The one row of a query."""
        with self.engine.connect() as connection:
            return connection.execute(query).one()

    def _leave(self, grant: Grant, filename: str) -> FileRef:
        key = f"{grant.key_prefix}{filename}"
        self.store.put(key, BytesIO(f"{filename} of {grant.attempt_id}".encode()))
        return FileRef(key, filename)


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """The first truthy value of the condition. Fails when it stays false."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return value
