"""The commands as people give them: what they print, and their exit status."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from sqlalchemy import URL, Engine

from services.embedded.__main__ import main
from services.embedded.environment import Surroundings
from services.embedded.layout import Layout
from services.embedded.ports import free_port
from services.embedded.running import announced
from shared import names
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import Delivery, Receipt
from shared.core.states import RunState, SubTaskState
from shared.database.engine import open_engine
from shared.messages.parking import parked
from shared.topology import PLATFORM
from tests.embedded_commands.conftest import parked_left
from tests.embedded_commands.http_api import answering
from tests.embedded_commands.rows import MODEL_QUEUE, Rows
from tests.embedded_commands.waiting import eventually

pytestmark = pytest.mark.integration

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(environ: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Give a command; its exit status, and what it printed on both streams."""

    def give(*arguments: str) -> tuple[int, str]:
        environ.setattr(sys, "argv", ["lossline", *arguments])
        environ.setenv("COLUMNS", "200")
        capsysbinary.readouterr()
        status = main()
        out, err = capsysbinary.readouterr()
        return status, (out + err).decode()

    return give


@pytest.fixture
def services(rabbit_url: str) -> Iterator[BlockingBroker]:
    """A broker on which every service reads its queues."""
    with BlockingBroker(rabbit_url, "services") as broker:
        broker.declare(PLATFORM)
        for queue in (names.TASK_CONTROLLER_QUEUE, names.HEARTBEAT_QUEUE, names.MONITOR_QUEUE):
            assert broker.consume(queue, prefetch=1).wait_consuming(10)
        yield broker


@pytest.fixture
def platform(layout: Layout, database: URL, rabbit_url: str, services: BlockingBroker) -> Iterator[BlockingBroker]:
    """A platform as `lossline up` announces it, with all its parts well; the services' broker."""
    url = database.render_as_string(hide_password=False)
    around = Surroundings(url, rabbit_url, layout.objects, "key", layout.cache)
    with answering(200) as api, announced(layout, api, around.with_database() | websocket_at(api)):
        yield services


def websocket_at(url: str) -> dict[str, str]:
    """Where services say that the websocket server is."""
    return {"OASIS_WEBSOCKET_PORT": str(urlsplit(url).port)}


def park(broker: BlockingBroker, number: int, body: bytes, queue: str) -> None:
    """Park a message as a service does."""
    original = Delivery(body, queue, {}, 0, False, f"{number:08d}-id", None, None, Receipt(1, 1))
    assert broker.publish([parked(body, queue, f"reason {number}", original)])[0].confirmed


def test_a_healthy_platform_is_said_to_be_so(platform: BlockingBroker, run: Run) -> None:
    status, said = run("doctor")
    assert said.splitlines()[-1] == "Nothing is wrong."
    assert "Platform: `lossline up` on this machine" in said
    assert status == 0


def test_what_is_wrong_is_said_with_what_to_do_and_for_how_long(
    platform: BlockingBroker, run: Run, engine: Engine
) -> None:
    # Given a platform with ready work and no worker, a silent worker, a parked message and a backlog
    rows = Rows(engine)
    active = rows.run(RunState.ACTIVE, requested=300)
    rows.stage(active, queued=1, started=1)
    rows.sub_task(active, SubTaskState.QUEUED, 0, queue_time=rows.ago(125))
    started = rows.sub_task(active, SubTaskState.STARTED, 1, queue_time=rows.ago(200))
    rows.attempt(started, active, "w9", rows.ago(45))
    rows.worker("w2", draining=True)
    rows.outbox(created=60)
    park(platform, 1, b"{", names.TASK_CONTROLLER_QUEUE)
    # When the doctor looks
    status, said = run("doctor")
    # Then each is said, the worst first
    assert status == 1
    lines = said.splitlines()
    severities = [line.split()[0] for line in lines if line.startswith(("error", "warning", "note"))]
    assert severities == ["error", "error", "error", "warning", "note"]
    assert f"Queue {MODEL_QUEUE} has 1 ready sub-task, and its workers are all draining, for 2 min" in said
    assert "Worker w9 holds 1 attempt with expired leases (losses-1 of analysis 1), for 4" in said
    assert "1 message is in the outbox, due and not published, for 1 min" in said
    assert "1 message is parked" in said
    assert "Worker w2 on host-1 is draining" in said
    assert lines[-1].endswith("things are wrong.")
    assert "         Start a worker of the model" in said


def test_findings_are_there_for_programs_too(platform: BlockingBroker, run: Run, engine: Engine) -> None:
    rows = Rows(engine)
    rows.outbox(created=60)
    status, said = run("doctor", "--json")
    told = json.loads(said)
    assert (status, told["healthy"]) == (1, False)
    (finding,) = told["findings"]
    assert finding.keys() == {"severity", "what", "since", "advice"}
    assert (finding["severity"], finding["since"]) == ("error", rows.ago(60).isoformat())


def test_parts_that_are_gone_are_findings_and_no_errors(run: Run, environ: pytest.MonkeyPatch) -> None:
    # Given an environment that names a platform of which nothing is there
    port = str(free_port())
    for name, value in {
        "OASIS_BROKER_URL": f"amqp://ana:hidden@127.0.0.1:{port}/",
        "OASIS_SERVER_DB_HOST": "127.0.0.1",
        "OASIS_SERVER_DB_PORT": port,
        "OASIS_SERVER_DB_PASS": "hidden",
        "OASIS_API_PORT": port,
        "OASIS_WEBSOCKET_PORT": port,
        "OASIS_MEDIA_ROOT": "/dev/null/objects",
    }.items():
        environ.setenv(name, value)
    # When the doctor looks
    began = time.monotonic()
    status, said = run("doctor")
    # Then every part is named, soon, and no secret is shown
    assert status == 1
    assert all(f"The {part} at " in said for part in ("database", "broker", "object store", "API", "websocket server"))
    assert said.splitlines()[-1] == "5 things are wrong."
    assert "hidden" not in said
    assert time.monotonic() - began < 30


def test_the_address_of_the_api_may_be_given(platform: BlockingBroker, run: Run) -> None:
    address = f"http://127.0.0.1:{free_port()}/"
    status, said = run("doctor", "--api", address)
    assert status == 1
    assert f"The API at {address} fails: nothing answers there." in said


@pytest.mark.parametrize("command", [["doctor"], ["parked", "list"], ["parked", "replay", "--all"]])
def test_without_a_platform_one_sentence_says_what_to_do(run: Run, command: list[str]) -> None:
    status, said = run(*command)
    assert status == 1
    assert said.startswith("No platform to look at")
    assert len(said.splitlines()) == 1


def test_a_parked_message_is_listed_shown_and_dropped(platform: BlockingBroker, run: Run) -> None:
    # Given nothing, then a message that nobody can read, with what a terminal would obey in it
    assert run("parked", "list") == (0, "Nothing is parked.\n")
    body = b'{"type": "StartRun", "version": 9, "body": {"odd": "\\u001b[31m"}}'
    park(platform, 1, body, names.TASK_CONTROLLER_QUEUE)
    park(platform, 2, b"\x1b[2J\xff", names.MONITOR_QUEUE)
    # When it is listed
    status, said = run("parked", "list")
    # Then a line says what it is
    assert status == 0
    (line,) = (line for line in said.splitlines() if "00000001" in line)
    assert line.split() == ["1", "00000001", "task-controller", "StartRun", str(len(body)), "reason", "1"]
    assert "2 messages." in said
    # And it is shown as a whole, harmless, or byte by byte
    status, said = run("parked", "show", "00000001")
    assert status == 0
    assert '"odd": "\\u001b[31m"' in said
    assert "reason       reason 1" in said
    assert "\\x1b[2J\\xff" in run("parked", "show", "2")[1]
    assert run("parked", "show", "1", "--raw") == (0, body.decode())
    # And it is dropped when that is meant
    status, said = run("parked", "drop", "1")
    assert status == 1
    assert "Would drop message 1 (00000001): reason 1" in said
    assert parked_left(platform) == 2
    assert run("parked", "drop", "1", "--yes") == (0, "Dropped message 1 (00000001): reason 1\n")
    eventually(lambda: parked_left(platform) == 1, "one is left")
    assert run("parked", "drop", "--all", "--yes")[0] == 0
    assert run("parked", "drop", "--all", "--yes") == (0, "Nothing is parked.\n")


def test_the_list_is_cut_to_its_limit(platform: BlockingBroker, run: Run) -> None:
    for number in range(3):
        park(platform, number, b"{", names.MONITOR_QUEUE)
    said = run("parked", "list", "--limit", "2")[1]
    assert "2 messages of 3; --limit shows more." in said
    assert "00000002" not in said


def test_messages_are_replayed_and_those_that_cannot_be_are_named(platform: BlockingBroker, run: Run) -> None:
    # Given one message of a worker that is gone, and one of a queue that is there
    park(platform, 1, b"one", "worker.gone")
    park(platform, 2, b"two", "celery-v2")
    # When all are replayed
    status, said = run("parked", "replay", "--all")
    # Then one is on its queue, and the other parked still
    assert status == 1
    assert "Still parked: message 1 (00000001): there is no queue worker.gone" in said
    assert "Replayed message 2 (00000002) to celery-v2." in said
    eventually(lambda: platform.queue_depths(["celery-v2"])["celery-v2"].messages == 1, "it is there")
    eventually(lambda: parked_left(platform) == 1, "the other is parked")
    # And what is not parked is not replayed
    assert run("parked", "replay", "9")[1].startswith("No parked message is called '9': there are 1")


@pytest.mark.parametrize("command", ["replay", "drop"])
@pytest.mark.parametrize("which", [[], ["1", "--all"]])
def test_which_messages_must_be_said(platform: BlockingBroker, run: Run, command: str, which: list[str]) -> None:
    park(platform, 1, b"{", names.MONITOR_QUEUE)
    status, said = run("parked", command, *which)
    assert status == 1
    assert said.startswith("Say which messages")
    eventually(lambda: parked_left(platform) == 1, "it stays parked")


def test_a_broker_that_is_gone_is_one_sentence(run: Run, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("OASIS_BROKER_URL", f"amqp://ana:hidden@127.0.0.1:{free_port()}/")
    environ.setattr("services.embedded.operating._CONNECT", 0.5)
    status, said = run("parked", "list")
    assert status == 1
    assert said.startswith("The broker at 127.0.0.1:")
    assert "hidden" not in said


@pytest.mark.parametrize("arguments", [["nope"], ["parked", "nope"], ["doctor", "--nope"], ["up", "--workers", "x"]])
def test_what_is_no_command_is_said_in_a_line(run: Run, arguments: list[str]) -> None:
    status, said = run(*arguments)
    assert status == 2
    assert said.splitlines()[-1].endswith("See `lossline --help`.")
    assert "Traceback" not in said


def test_the_help_of_a_group_is_no_error_message(run: Run) -> None:
    status, said = run("parked")
    assert status == 2
    assert "replay" in said
    assert "Traceback" not in said


def test_a_database_of_another_version_is_not_looked_at(platform: BlockingBroker, run: Run, database: URL) -> None:
    engine = open_engine(database, name="tests")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("ALTER TABLE runs RENAME TO past")
    engine.dispose()
    status, said = run("doctor")
    assert status == 1
    assert "revision 9999, which this program does not know" in said
