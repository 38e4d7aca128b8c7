"""Recording what was found out about a portfolio, and why a run of one has failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from services.task_controller.handlers import handle
from services.task_controller.settings import Settings
from services.worker_monitor.failed_exposure import keep_reason
from services.worker_monitor.holdings import Hold
from services.worker_monitor.portfolio_results import SEEN_FOR
from services.worker_monitor.recording import Recorder
from services.worker_monitor.retention import Retention
from services.worker_monitor.run_sweeper import RunSweeper
from services.worker_monitor.sweeper import Sweeper
from shared import names
from shared.core.inputs import FileRef, RunInputs
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.execution import Removal, Run
from shared.database.portfolio_runs import request_portfolio_run
from shared.database.resources import File, Portfolio, User
from shared.database.transactions import in_working_set
from shared.messages.catalogue import (
    AttemptFinished,
    ClaimAnswered,
    ClaimWork,
    Grant,
    KeepPartialFiles,
    Message,
    StartRun,
)
from shared.object_store.directory import DirectoryStore
from tests.worker_monitor.history import WORKER

pytestmark = pytest.mark.integration

VALIDATE, EXPOSURE_RUN, TRANSFORM = RunKind.VALIDATE, RunKind.EXPOSURE_RUN, RunKind.EXPOSURE_TRANSFORM


@dataclass
class Homes:
    """A portfolio with a location file, and what happens to it."""

    engine: Engine
    store: DirectoryStore
    portfolio_id: int = field(init=False)
    user_id: int = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings(self.engine.url, broker="amqp://unused/")
        with Session(self.engine) as session:
            user = User(username="ana", is_superuser=True)
            portfolio = Portfolio(name="homes")
            session.add_all([user, portfolio])
            session.commit()
            self.portfolio_id, self.user_id = portfolio.id, user.id
        self.upload()

    def upload(self) -> None:
        """Give the portfolio a (new) location file, as the API does."""
        key = f"files/{uuid4().hex}.csv"
        size = self.store.put(key, BytesIO(b"LocNumber\n1\n")).size
        with Session(self.engine) as session:
            file = File(key=key, filename="location.csv", content_type="text/csv", size=size)
            session.add(file)
            portfolio = session.get_one(Portfolio, self.portfolio_id)
            if portfolio.location_file_id is not None:
                session.get_one(File, portfolio.location_file_id).released_at = func.now()
            session.flush()
            portfolio.location_file_id = file.id
            session.commit()

    def request(self, kind: RunKind) -> int:
        """A planned run; its id. What it reads is what there is now."""
        with Session(self.engine) as session:
            portfolio = session.scalars(select(Portfolio).with_for_update(key_share=True)).one()
            location = session.get_one(File, portfolio.location_file_id)
            name = "transform_file" if kind == TRANSFORM else "location_file"
            inputs = RunInputs({name: FileRef(location.key, location.filename)})
            run_id = request_portfolio_run(session, portfolio.id, kind, inputs, self.user_id)
            session.commit()
        self.tell(StartRun(run_id))
        return run_id

    def worked(self, kind: RunKind, **leaves: str) -> Grant:
        """Request a run and do its first sub-task, which leaves these texts by artifact; the grant of its record."""
        self.request(kind)
        return self.do(**leaves)

    def do(self, **leaves: str) -> Grant:
        """Do the first sub-task that is ready; the grant of what records it."""
        grant = self.claim(names.INTERNAL_QUEUE, "internal")
        artifacts = {name: FileRef(f"{grant.key_prefix}{name}", f"{name}.csv") for name in leaves}
        for name, reference in artifacts.items():
            self.store.put(reference.key, BytesIO(leaves[name].encode()))
        self.tell(AttemptFinished(grant.attempt_id, "internal", artifacts=artifacts))
        return self.claim(RECORDER_QUEUE, WORKER)

    def claim(self, queue: str, worker: str) -> Grant:
        (reply,) = self.tell(ClaimWork(uuid4(), worker, queue, 0))
        assert isinstance(reply.message, ClaimAnswered)
        assert reply.message.grant is not None, f"nothing is ready on {queue}"
        return reply.message.grant

    def tell(self, *messages: Message) -> list[Any]:
        return in_working_set(self.engine, self.settings.policy, lambda work: handle(work, self.settings, messages))

    def portfolio(self) -> Portfolio:
        with Session(self.engine) as session:
            return session.scalars(select(Portfolio)).one()

    def file(self, name: str) -> File | None:
        """A file of the portfolio."""
        with Session(self.engine) as session:
            file_id = getattr(session.scalars(select(Portfolio)).one(), f"{name}_id")
            return None if file_id is None else session.get(File, file_id)

    def text(self, name: str) -> str:
        """What a file of the portfolio says."""
        file = self.file(name)
        assert file is not None
        with self.store.open(file.key) as stream:
            return stream.read().decode()

    def statuses(self) -> Mapping[str, str]:
        row = self.portfolio()
        return {
            "validation": row.validation_status,
            "exposure": row.exposure_status,
            "transform": row.exposure_transform_status,
        }

    def runs(self) -> list[Run]:
        with Session(self.engine) as session:
            return list(session.scalars(select(Run).order_by(Run.id)))


@pytest.fixture
def homes(engine: Engine, store: DirectoryStore) -> Homes:
    return Homes(engine, store)


def test_a_validation_without_errors_marks_the_files_that_it_has_read(homes: Homes, recorder: Recorder) -> None:
    recorder.execute(Hold(homes.worked(VALIDATE)))

    location = homes.file("location_file")
    assert location is not None
    assert location.oed_validated
    assert homes.statuses()["validation"] == "RUN_COMPLETED"


def test_a_file_that_was_uploaded_meanwhile_is_not_valid(homes: Homes, recorder: Recorder) -> None:
    grant = homes.worked(VALIDATE)
    homes.upload()

    recorder.execute(Hold(grant))

    location = homes.file("location_file")
    assert location is not None
    assert not location.oed_validated


def test_errors_of_a_validation_are_a_file_and_a_status_and_the_next_success_takes_them_away(
    homes: Homes, recorder: Recorder
) -> None:
    recorder.execute(Hold(homes.worked(VALIDATE, errors="no such country")))

    errors = homes.file("run_errors_file")
    assert errors is not None
    assert (errors.filename, errors.content_type, errors.released_at) == (
        f"portfolio_{homes.portfolio_id}_errors.txt",
        "text/csv",
        None,
    )
    assert homes.text("run_errors_file") == "no such country"
    assert homes.statuses()["validation"] == "ERROR"
    location = homes.file("location_file")
    assert location is not None
    assert not location.oed_validated

    recorder.execute(Hold(homes.worked(VALIDATE)))

    assert homes.file("run_errors_file") is None
    assert homes.statuses()["validation"] == "RUN_COMPLETED"


def test_clients_have_the_time_to_see_that_it_has_started(homes: Homes, recorder: Recorder) -> None:
    grant = homes.worked(VALIDATE)

    recorder.execute(Hold(grant))

    with Session(homes.engine) as session:
        took = session.execute(
            select(Portfolio.modified - Run.requested_at).where(Portfolio.id == Run.portfolio_id)
        ).scalar_one()
    assert took >= timedelta(seconds=0.95 * SEEN_FOR)


def test_an_exposure_run_leaves_its_losses(homes: Homes, recorder: Recorder) -> None:
    recorder.execute(Hold(homes.worked(EXPOSURE_RUN, exposure_run="loss\n1\n")))

    losses = homes.file("exposure_run_file")
    assert losses is not None
    assert losses.filename == f"portfolio_{homes.portfolio_id}_exposure_run.csv"
    assert homes.text("exposure_run_file") == "loss\n1\n"
    assert homes.statuses() == {"validation": "NONE", "exposure": "RUN_COMPLETED", "transform": "NONE"}


def test_a_transformation_replaces_the_file_and_has_it_validated(homes: Homes, recorder: Recorder) -> None:
    recorder.execute(Hold(homes.worked(TRANSFORM, location_file="LocNumber\n2\n")))

    assert homes.text("location_file") == "LocNumber\n2\n"
    assert homes.statuses() == {"validation": "STARTED", "exposure": "NONE", "transform": "RUN_COMPLETED"}
    _, validation = homes.runs()
    location = homes.file("location_file")
    assert location is not None
    assert (validation.kind, validation.requested_by_id) == ("validate", homes.user_id)
    assert validation.inputs["files"]["location_file"]["key"] == location.key

    homes.tell(StartRun(validation.id))
    homes.claim(names.INTERNAL_QUEUE, "internal")  # the cleanup of the transformation or the validation; then the other
    assert [run.state for run in homes.runs()] == ["ACTIVE", "ACTIVE"]


def test_a_transformation_with_errors_leaves_nothing_to_validate(homes: Homes, recorder: Recorder) -> None:
    before = homes.file("location_file")

    recorder.execute(Hold(homes.worked(TRANSFORM, errors="no mapping")))

    after = homes.file("location_file")
    assert before is not None
    assert after is not None
    assert before.id == after.id
    assert homes.statuses() == {"validation": "ERROR", "exposure": "NONE", "transform": "ERROR"}
    assert len(homes.runs()) == 1


def test_what_nobody_waits_for_any_more_changes_nothing(homes: Homes, recorder: Recorder) -> None:
    recorder.execute(Hold(homes.worked(EXPOSURE_RUN, errors="of the exposure run")))
    homes.tell(AttemptFinished(homes.claim(names.INTERNAL_QUEUE, "internal").attempt_id, "internal"))
    grant = homes.worked(VALIDATE)
    homes.request(VALIDATE)
    with homes.engine.begin() as connection:  # as if it had been recorded just before it was cancelled
        connection.execute(update(Run).where(Run.id == grant.run_id).values(state="ACTIVE"))

    recorder.execute(Hold(grant))

    assert homes.text("run_errors_file") == "of the exposure run"
    assert homes.statuses()["validation"] == "STARTED"
    location = homes.file("location_file")
    assert location is not None
    assert not location.oed_validated


def test_the_reason_of_a_failure_is_the_errors_file(homes: Homes, store: DirectoryStore) -> None:
    run_id = homes.request(EXPOSURE_RUN)
    for _ in range(homes.settings.policy.retries[Cause.MODEL_ERROR] + 1):
        grant = homes.claim(names.INTERNAL_QUEUE, "internal")
        homes.tell(AttemptFinished(grant.attempt_id, "internal", Cause.MODEL_ERROR, "the library is missing"))
        with homes.engine.begin() as connection:
            connection.execute(update(Run.metadata.tables["sub_tasks"]).values(not_before=None))

    for _ in range(2):  # told again, it does so again
        keep_reason(homes.engine, store, KeepPartialFiles(run_id, grant.sub_task_id))

    assert homes.statuses()["exposure"] == "ERROR"
    assert "the library is missing" in homes.text("run_errors_file")
    with Session(homes.engine) as session:
        unreleased = session.scalars(select(File.filename).where(File.released_at.is_(None))).all()
    assert sorted(unreleased) == ["location.csv", f"portfolio_{homes.portfolio_id}_errors.txt"]


def test_files_of_a_request_stay_while_its_run_needs_them(
    homes: Homes, recorder: Recorder, store: DirectoryStore
) -> None:
    grant = homes.worked(VALIDATE)
    homes.upload()  # releases what the run reads
    sweeper = Sweeper(homes.engine, store, keep=0.0)

    assert sweeper.sweep(Event()) == 0
    recorder.execute(Hold(grant))
    cleanup = homes.claim(names.INTERNAL_QUEUE, "internal")
    homes.tell(AttemptFinished(cleanup.attempt_id, "internal"))

    assert sweeper.sweep(Event()) == 1


def test_runs_that_are_no_longer_kept_go_but_not_those_that_statuses_belong_to(
    homes: Homes, recorder: Recorder, store: DirectoryStore
) -> None:
    for _ in range(3):
        recorder.execute(Hold(homes.worked(VALIDATE)))
        cleanup = homes.claim(names.INTERNAL_QUEUE, "internal")
        homes.tell(AttemptFinished(cleanup.attempt_id, "internal"))
    first, _, last = homes.runs()

    RunSweeper(homes.engine, store, Retention(runs=2, days=0)).sweep(stopped())

    assert first.id not in {run.id for run in homes.runs()}
    assert len(homes.runs()) == 2
    with Session(homes.engine) as session:
        noted = session.scalars(select(Removal.prefix)).all()
    assert f"portfolio-{homes.portfolio_id}_validation-{first.run_uuid}/" in noted

    with homes.engine.begin() as connection:
        connection.execute(update(Run).values(ended_at=func.now() - timedelta(days=9)))
    RunSweeper(homes.engine, store, Retention(runs=0, days=1)).sweep(Event())
    assert [run.id for run in homes.runs()] == [last.id]


def stopped() -> Event:
    """An event by which a sweeper gives up rows and leaves their objects to the next."""
    return _AfterRows()


class _AfterRows(Event):
    """Not set while rows are looked at, then set: three looks in a sweep of one portfolio."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = 0

    def is_set(self) -> bool:
        self._looks += 1
        return self._looks > 1
