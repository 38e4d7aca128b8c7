"""The internal worker: a worker like any other, without a model, that imports nothing before its first work."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from services.model_worker.processes.registry import REGISTRY_VARIABLE, SERVER_REGISTRY
from services.model_worker.settings import Settings
from shared import names
from shared.core.inputs import FileRef
from shared.core.plan import Phase, attempt_prefix
from shared.core.retries import Cause
from shared.messages.catalogue import Grant
from tests.model_worker.bench import Bench, WorkerProcess, terminate
from tests.model_worker.controller import Controller, Ears
from tests.model_worker.waiting import wait_for

MODEL = ("OASIS_MODEL_SUPPLIER_ID", "OASIS_MODEL_ID", "OASIS_MODEL_VERSION_ID", "OASIS_MODEL_DATA_DIRECTORY")
LOCATIONS = """\
PortNumber,AccNumber,LocNumber,CountryCode,LocPerilsCovered,LocCurrency,BuildingTIV,ContentsTIV,BITIV
1,A,1,QQ,WTC,GBP,1,0,0
"""


def internal(**more: str) -> dict[str, str]:
    """What of an environment makes a worker internal."""
    return {"OASIS_RUN_MODE": "server-internal", "LOSSLINE_STEPS": "", **dict.fromkeys(MODEL, ""), **more}


@pytest.fixture
def controller(ears: Ears, bench: Bench) -> Iterator[Controller]:
    """The task controller of the internal queue."""
    with Controller(ears, names.INTERNAL_QUEUE) as controller:
        yield controller


@pytest.fixture
def worker(bench: Bench, controller: Controller) -> WorkerProcess:
    """An internal worker, up."""
    started = bench.start(1, "services.model_worker", **internal())
    wait_for(lambda: controller.beats, "the first heartbeat")
    return started


def grant_of(bench: Bench, step: str, files: dict[str, FileRef]) -> Grant:
    """A grant of a step of portfolio 3."""
    base = bench.grant(step=step, phase=Phase.VALIDATION, files=files)
    attempt_id = uuid4()
    prefix = attempt_prefix(Phase.VALIDATION, 3, base.run_uuid, str(attempt_id))
    changed = {"attempt_id": attempt_id, "analysis_id": None, "portfolio_id": 3, "key_prefix": prefix}
    return Grant(**vars(base) | changed)


def test_it_needs_no_model_and_registers_none(bench: Bench) -> None:
    settings = Settings.read(bench.environ() | internal())

    assert (settings.queue, settings.is_internal, settings.register) == ("oasis-internal-worker", True, False)
    assert settings.step_environ[REGISTRY_VARIABLE] == SERVER_REGISTRY


def test_it_imports_nothing_before_its_first_work_and_keeps_what_it_has_imported(
    bench: Bench, controller: Controller, worker: WorkerProcess
) -> None:
    assert worker.processes() == []

    for _ in range(2):
        grant = grant_of(bench, "validate-exposure", {"location_file": bench.put(LOCATIONS)})
        controller.offer(grant)
        report = controller.report_of(grant)
        assert report.cause is None, report.message
        assert "QQ" in bench.text_of(report.artifacts["errors"].key)
        assert report.artifacts["errors"].key.startswith(f"portfolio-3_validation-{grant.run_uuid}/")

    assert len(worker.processes()) == 1, "the fork server, which has imported the libraries, waits for the next"
    assert controller.registrations == []
    assert terminate(worker, 15) == 0


def test_a_file_that_is_gone_is_told_like_any_failure(
    bench: Bench, controller: Controller, worker: WorkerProcess
) -> None:
    grant = grant_of(bench, "validate-exposure", {"location_file": FileRef("files/gone.csv", "gone.csv")})
    controller.offer(grant)
    report = controller.report_of(grant)
    assert report.cause == Cause.MODEL_ERROR
    assert "files/gone.csv" in (report.message or "")


def test_a_cleanup_removes_what_the_run_has_left_and_nothing_of_the_analysis_of_the_same_number(
    bench: Bench, controller: Controller, worker: WorkerProcess
) -> None:
    grant = grant_of(bench, "cleanup-validation", {})
    ours, theirs = f"{grant.key_prefix}errors.txt", f"analysis-3_losses-{grant.run_uuid}/x"
    (bench.folder / "x").write_text("x")
    for key in (ours, theirs):
        bench.store.put_file(key, bench.folder / "x")

    controller.offer(grant)

    assert controller.report_of(grant).cause is None
    assert (bench.store.exists(ours), bench.store.exists(theirs)) == (False, True)
