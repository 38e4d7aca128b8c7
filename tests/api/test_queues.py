"""queue/ and queue-status/: what waits, runs and serves, counted from runs that have not ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from services.api.queue_status.reading import read_queue_status
from shared.database.execution import UnservedQueue, Worker
from tests.api.api_client import ANALYSIS_SETTINGS, Api
from tests.api.executed import Execution

pytestmark = pytest.mark.integration

QUEUE, RECORDER = "OasisLMF-PiWind-1-v2", "celery-v2"


@pytest.fixture
def running(api: Api, session: Session, dependencies: Any) -> Execution:
    """A run of both halves, two chunks each, whose first sub-task is ready."""
    return started(api, session, dependencies)


def started(api: Api, session: Session, dependencies: Any, analysis: Any = None) -> Execution:
    analysis = analysis or api.analysis(settings=ANALYSIS_SETTINGS)
    assert api.post(f"analyses/{analysis['id']}/generate_and_run/").status_code == 200
    return Execution(session, dependencies.store, analysis)


def worker(session: Session, name: str, queue: str = QUEUE, **columns: Any) -> None:
    session.add(
        Worker(
            **{"worker_id": name, "queue": queue, "host": "h", "slots": 1, "free_slots": 1, "draining": False} | columns
        )
    )
    session.commit()


def in_use(api: Api) -> dict[str, Any]:
    answer = api.get("queue-status/")
    assert answer.status_code == 200
    return {each["queue"]["name"]: each for each in answer.json["content"]}


def test_a_queue_says_why_nobody_serves_it_while_that_is_so(api: Api, running: Execution, session: Session) -> None:
    now = datetime.now(UTC)
    session.add(UnservedQueue(queue=QUEUE, reason="no such image", told_at=now))
    session.add(UnservedQueue(queue=RECORDER, reason="of long ago", told_at=now - timedelta(minutes=2)))
    session.commit()
    assert in_use(api)[QUEUE]["queue"]["unserved_reason"] == "no such image"
    assert in_use(api)[RECORDER]["queue"]["unserved_reason"] is None
    worker(session, "w1")
    assert in_use(api)[QUEUE]["queue"]["unserved_reason"] is None


def test_a_platform_with_nothing_to_do_has_an_empty_status_and_the_queues_of_its_models(api: Api) -> None:
    model = api.model()
    api.model("Later", run_mode=None)

    status = api.get("queue-status/").json
    (queue,) = api.get("queue/").json

    assert status.keys() == {"time", "type", "status", "version", "content"}
    assert (status["type"], status["status"], status["content"]) == ("queue_status.updated", "SUCCESS", [])
    datetime.strptime(status["time"], "%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: DTZ007 - the Z is its zone
    counts = ("pending_count", "queued_count", "running_count", "queue_message_count", "worker_count")
    assert queue == {"name": QUEUE, **dict.fromkeys(counts, 0), "unserved_reason": None, "models": [with_paths(model)]}


def with_paths(model: Any) -> Any:
    return {
        name: value.replace("http://localhost", "/api") if isinstance(value, str) else value
        for name, value in model.items()
    }


def test_links_of_models_are_paths_below_api(api: Api) -> None:
    model = api.model()
    assert with_paths(model)["settings"] == f"/api/v2/models/{model['id']}/settings/"
    assert api.get("queue/").json[0]["models"][0]["settings"] == f"/api/v2/models/{model['id']}/settings/"


def test_a_run_is_counted_on_each_of_its_queues(api: Api, running: Execution) -> None:
    running.move("prepare-input-generation-params", "COMPLETED")
    running.move("prepare-keys-file-0", "QUEUED")
    running.move("prepare-keys-file-1", "STARTED")

    status = in_use(api)

    assert set(status) == {QUEUE, RECORDER}
    queue = status[QUEUE]["queue"]
    assert (queue["queued_count"], queue["running_count"], queue["queue_message_count"]) == (1, 1, 1)
    assert queue["pending_count"] == 15 - 2 - 3
    assert [model["model_id"] for model in queue["models"]] == ["PiWind"]
    assert status[RECORDER]["queue"]["pending_count"] == 2
    assert status[RECORDER]["queue"]["models"] == []
    assert status[RECORDER]["analyses"] == status[QUEUE]["analyses"]


def test_an_analysis_says_what_worker_controllers_read(api: Api, running: Execution) -> None:
    running.move("prepare-input-generation-params", "STARTED")

    (entry,) = in_use(api)[QUEUE]["analyses"]

    detail = api.get(f"analyses/{running.analysis_id}/").json
    assert entry["updated_tasks"] == []
    shown = entry["analysis"]
    assert shown.pop("queue_names") == [QUEUE, RECORDER]
    assert shown == {name: detail[name] for name in shown}
    assert {"id", "name", "portfolio", "model", "status", "priority", "lookup_chunks", "analysis_chunks"} <= set(shown)
    assert shown["status_count"]["TOTAL_IN_QUEUE"] == shown["sub_task_count"] == 15


def test_a_queue_that_a_run_has_finished_with_is_not_among_its_names(api: Api, running: Execution) -> None:
    for slug in ("record-input-files", "record-losses-files"):
        running.move(slug, "COMPLETED")

    (entry,) = in_use(api)[QUEUE]["analyses"]

    assert entry["analysis"]["queue_names"] == [QUEUE]


def test_an_ended_run_is_gone(api: Api, running: Execution) -> None:
    assert in_use(api)
    running.end("COMPLETED", ended_at=datetime.now(UTC))
    running.analysis(status="RUN_COMPLETED")
    assert in_use(api) == {}


def test_a_cancelled_analysis_is_gone_at_once_and_its_sub_tasks_count_until_they_have_stopped(
    api: Api, running: Execution
) -> None:
    running.move("prepare-input-generation-params", "STARTED")
    assert api.post(f"analyses/{running.analysis_id}/cancel/").status_code == 200
    status = in_use(api)
    assert status[QUEUE]["analyses"] == []
    assert status[QUEUE]["queue"]["running_count"] == 1


def test_workers_count_while_they_live_and_take_work(api: Api, session: Session) -> None:
    for name in ("one", "two"):
        worker(session, name)
    worker(session, "draining", draining=True)
    worker(session, "silent", last_seen=datetime.now(UTC) - timedelta(seconds=60))
    worker(session, "dead", died_at=datetime.now(UTC))

    status = in_use(api)

    assert status[QUEUE]["queue"]["worker_count"] == 2
    assert status[QUEUE]["analyses"] == []


def test_versions_grow(api: Api) -> None:
    versions = [api.get("queue-status/").json["version"] for _ in range(3)]
    assert versions == sorted(set(versions))


@pytest.mark.parametrize("path", ["queue/", "queue-status/"])
def test_both_need_an_account_and_are_not_in_the_first_version(api: Api, path: str) -> None:
    assert Api(api.app).get(path).status_code == 403
    assert api.post(path).status_code == 405
    assert api.get(f"/v1/{path}").status_code == 404
    assert api.get(f"/api/v2/{path}").status_code == 200


@contextmanager
def noted(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements sent inside, with their parameters."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def statements(engine: Engine) -> tuple[int, int]:
    """How many statements a status takes, and how many analyses it shows."""
    with noted(engine) as sent:
        status = read_queue_status(engine)
    return len(sent), len(status.analyses)


def test_the_cost_does_not_grow_with_analyses_and_ended_ones_are_never_read(
    api: Api, session: Session, dependencies: Any, engine: Engine, running: Execution
) -> None:
    before = statements(engine)
    portfolio, model = {"id": api.get("portfolios/").json[0]["id"]}, {"id": api.get("models/").json[0]["id"]}
    for number in range(6):
        other = started(api, session, dependencies, api.analysis(portfolio, model, settings=ANALYSIS_SETTINGS))
        if number >= 3:
            other.end("COMPLETED", ended_at=datetime.now(UTC))
            other.analysis(status="READY")
    assert before == (8, 1)
    assert statements(engine) == (8, 1 + 3)


ENDED_RUNS = """
WITH made AS (
    INSERT INTO analyses (name, portfolio_id, status) SELECT 'old', id, 'READY'
    FROM portfolios, generate_series(1, 3000) RETURNING id
), ended AS (
    INSERT INTO runs (run_uuid, analysis_id, kind, state, priority, model_queue, ended_at)
    SELECT md5(id::text), id, 'generate_losses', 'COMPLETED', 4, 'q', now() FROM made RETURNING id
)
INSERT INTO stages (run_id, position, step, phase, queue, parallel, optional, size, pending)
SELECT id, n, 's', 'losses', 'q', false, false, 1, 0 FROM ended, generate_series(0, 5) AS n
"""


def test_no_table_that_grows_with_analyses_is_read_from_end_to_end(
    api: Api, session: Session, dependencies: Any, engine: Engine
) -> None:
    # Given thousands of runs that have ended, and one that has not
    api.portfolio()
    session.connection().exec_driver_sql(ENDED_RUNS)
    session.commit()
    started(api, session, dependencies)
    session.connection().exec_driver_sql("ANALYZE")
    session.commit()
    # When the status is read
    with noted(engine) as sent:
        assert len(read_queue_status(engine).analyses) == 1
    # Then through indices only
    plans = [
        str(session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters).all())
        for statement, parameters in sent
    ]
    assert any("ix_runs_alive" in plan for plan in plans)
    for table in ("runs", "stages", "analyses", "sub_tasks"):
        assert not [plan for plan in plans if f"Seq Scan on {table}" in plan]
