"""The real process, over a real broker and a real database, with the task controller's own loops on the other side."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Engine, select, text

from benchmarks.places import url_of
from services.embedded.rabbitmq import PrivateBroker
from services.task_controller.heartbeats import Heartbeats
from services.task_controller.intake import Intake
from services.task_controller.relay import Relay
from shared import names
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import OutgoingMessage
from shared.core.plan import RECORDER_QUEUE
from shared.core.states import RunKind
from shared.database.execution import Attempt, Worker
from shared.database.resources import Model
from shared.messages.envelope import encode
from shared.object_store.directory import DirectoryStore
from shared.service import threads
from shared.topology import PLATFORM
from tests.worker_monitor.history import History, eventually
from tests.worker_monitor.test_registration import MESSAGE

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def rabbit_url(rabbitmq: PrivateBroker) -> str:
    """A virtual host of these tests alone."""
    return url_of(rabbitmq, "worker_monitor")


@pytest.fixture
def broker(rabbit_url: str) -> Iterator[BlockingBroker]:
    """The test's own connection; queues are empty at the beginning."""
    with BlockingBroker(rabbit_url, "tests") as connected:
        connected.wait_connected(30)
        connected.declare(PLATFORM)
        for queue in PLATFORM.queues:
            consumer = connected.consume(queue.name, prefetch=100)
            assert consumer.wait_consuming(10)
            consumer.ack(consumer.take(100, timeout=0.1))
            consumer.stop()
        yield connected


@pytest.fixture
def controller(history: History, broker: BlockingBroker) -> Iterator[None]:
    """The loops of a task controller."""
    settings = replace(history.settings, batch=16)
    intake, heartbeats = Intake(history.engine, broker, settings), Heartbeats(history.engine, broker, settings)
    loops = {"intake": intake.run, "heartbeats": heartbeats.run, "relay": Relay(history.engine, broker).run}
    with threads(Event(), **loops) as failed:
        yield
    assert failed() is None


@pytest.fixture
def start(engine: Engine, rabbit_url: str, store: DirectoryStore, tmp_path: Path) -> Iterator[Start]:
    """Start a worker monitor; it is killed at the end when it still runs."""
    with ExitStack() as running:

        def begin(**options: str) -> subprocess.Popen[str]:
            environ = {
                "PATH": os.environ["PATH"],
                "OASIS_SERVER_DB_HOST": str(engine.url.query["host"]),
                "OASIS_SERVER_DB_USER": str(engine.url.username),
                "OASIS_SERVER_DB_NAME": str(engine.url.database),
                "OASIS_BROKER_URL": rabbit_url,
                "OASIS_MEDIA_ROOT": str(store.root),
                **{f"OASIS_WORKER_MONITOR_{name}": value for name, value in options.items()},
            }
            log = running.enter_context((tmp_path / "monitor.log").open("a"))
            command = [sys.executable, "-m", "services.worker_monitor"]
            process = subprocess.Popen(command, env=environ, cwd=ROOT, stderr=log, text=True)
            running.callback(process.wait)
            running.callback(process.kill)
            return process

        yield begin


@pytest.mark.usefixtures("controller")
def test_both_phases_of_a_run_are_recorded_and_sigterm_ends_in_order(history: History, start: Start) -> None:
    process = start()
    history.request(RunKind.GENERATE_AND_RUN)

    history.work_off()
    eventually(lambda: history.analysis().status == "READY", 30)
    history.work_off()
    eventually(lambda: history.analysis().status == "RUN_COMPLETED", 30)
    eventually(lambda: _workers(history.engine))
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 0
    analysis, files = history.analysis(), history.files()
    assert history.text(files[analysis.output_file_id].key).startswith("output.tar.gz of")
    (worker,) = _workers(history.engine)
    assert (worker.queue, worker.slots, worker.worker_id[:8]) == (RECORDER_QUEUE, 2, "monitor-")


@pytest.mark.usefixtures("controller")
def test_a_model_that_registers_is_there_shortly_after(history: History, broker: BlockingBroker, start: Start) -> None:
    start(SLOTS="1")

    broker.publish([OutgoingMessage("", names.MONITOR_QUEUE, encode(MESSAGE))])

    query = select(Model.ver_oasislmf).where(Model.model_id == MESSAGE.model_id)
    eventually(lambda: _scalars(history.engine, query) == ["2.5.8"], 30)


@pytest.mark.usefixtures("controller")
def test_an_attempt_that_does_not_end_within_the_grace_is_handed_back(history: History, start: Start) -> None:
    process = start(SLOTS="1", GRACE="0.3", BEAT_EVERY="0.6")
    history.request()
    with history.engine.connect() as blocker:
        blocker.execute(text("LOCK TABLE files IN EXCLUSIVE MODE"))
        history.work_off()
        # The monitor has the grant and cannot reserve rows for its files.
        waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'files'::regclass")
        eventually(lambda: _scalars(history.engine, waits) == [1], 30)
        process.send_signal(signal.SIGTERM)
        (beats,) = eventually(lambda: _scalars(history.engine, select(Worker.beats).where(Worker.draining)))
        # Between two heartbeats of a draining worker lies more than its grace.
        eventually(lambda: _scalars(history.engine, select(Worker.beats)) > [beats])
        blocker.rollback()

    assert process.wait(20) == 0
    assert _scalars(history.engine, select(Attempt.state).where(Attempt.worker_id.like("monitor-%"))) == ["drained"]
    start()
    eventually(lambda: history.analysis().status == "READY", 30)


def test_a_bad_setting_is_named_and_ends_the_process_with_2(start: Start, tmp_path: Path) -> None:
    process = start(SLOTS="0")

    assert process.wait(20) == 2
    assert "OASIS_WORKER_MONITOR_SLOTS is '0'" in (tmp_path / "monitor.log").read_text()


def _workers(engine: Engine) -> list[Worker]:
    with engine.connect() as connection:
        return list(connection.execute(select(Worker.__table__)))  # type: ignore[arg-type]


def _scalars(engine: Engine, query: object) -> list[object]:
    with engine.connect() as connection:
        return list(connection.scalars(query))  # type: ignore[call-overload]
