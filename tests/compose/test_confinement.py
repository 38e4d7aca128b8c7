"""What a container of the platform may not do, asked from within it."""

from __future__ import annotations

import json

import pytest

from tests.compose.engine import docker
from tests.compose.stack import Stack

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]

OURS = ("api", "websocket", "task_controller", "worker_monitor", "internal_worker", "worker_controller")
SOCKET = "/var/run/docker.sock"
READ_QUEUE = """
import pathlib, pika, sys
user, queue = sys.argv[1:]
password = pathlib.Path("/run/secrets/rabbit_password").read_text()
place = pika.ConnectionParameters("rabbitmq", credentials=pika.PlainCredentials(user, password))
pika.BlockingConnection(place).channel().basic_get(queue)
"""
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"

ASKED_OF_SERVER = """
import os
from shared.database.engine import open_engine
from shared.settings import database_url
chosen = "SELECT setting FROM pg_settings WHERE starts_with(name, 'tcp_') ORDER BY name"
with open_engine(database_url(os.environ), name="tests").connect() as connection:
    print(*connection.exec_driver_sql(chosen).scalars())
"""


def within(stack: Stack, service: str, *command: str) -> tuple[int, str]:
    """Exit status and words of a command in a service's container."""
    done = docker("exec", stack.container(service), *command, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("service", OURS)
def test_a_service_has_no_rights_and_writes_to_its_own_folder_only(stack: Stack, service: str) -> None:
    assert within(stack, service, "id", "-u") == (0, "10001\n")
    status, said = within(stack, service, "touch", "/opt/lossline/here")
    assert status != 0
    assert "Read-only file system" in said or "Permission denied" in said
    assert within(stack, service, "touch", "/var/lib/lossline/tmp/here")[0] == 0
    container = stack.inspect(service)
    assert container["HostConfig"]["ReadonlyRootfs"] is True
    assert container["HostConfig"]["CapDrop"] == ["ALL"]
    is_there = within(stack, service, "test", "-e", SOCKET)[0] == 0
    assert is_there == (service == "worker_controller")


def test_no_secret_is_in_an_image_or_in_the_environment_of_a_container(stack: Stack) -> None:
    files = (stack.folder / "compose" / "secrets").glob("[a-z]*")
    values = {path.read_text() for path in files if path.name not in ("admin_password", "rabbit_definitions")}
    assert len(values) > 10
    for service in OURS:
        container = stack.inspect(service)
        known = json.dumps(container["Config"]["Env"]) + docker("history", "--no-trunc", container["Image"]).stdout
        assert not [value for value in values if value in known], service


def test_a_worker_reaches_broker_and_objects_but_not_the_database(stack: Stack) -> None:
    (network,) = (each for each in stack.inspect("database")["NetworkSettings"]["Networks"].values())
    database = network["IPAddress"]
    for place, port, reached in (("rabbitmq", "5672", True), ("objects", "9000", True), (database, "5432", False)):
        assert (within(stack, "internal_worker", "python", "-c", CONNECT, place, port)[0] == 0) == reached, place
    assert within(stack, "task_controller", "python", "-c", CONNECT, database, "5432")[0] == 0


@pytest.mark.parametrize(
    ("service", "own", "others"),
    [
        ("internal_worker", "oasis-internal-worker", "task-controller"),
        ("worker_monitor", "worker-monitor", "parked"),
        ("task_controller", "parked", "worker-monitor"),
    ],
)
def test_a_service_reads_its_own_queues_and_no_other(stack: Stack, service: str, own: str, others: str) -> None:
    status, said = within(stack, service, "python", "-c", READ_QUEUE, service, own)
    assert status == 0, said
    status, said = within(stack, service, "python", "-c", READ_QUEUE, service, others)
    assert status != 0
    assert "ACCESS_REFUSED" in said


def test_the_default_password_is_refused_where_others_can_connect(stack: Stack) -> None:
    open_to_all = ("--env", "OASIS_API_PUBLISHED_HOST=0.0.0.0")
    done = stack.compose("run", "--rm", "--no-deps", *open_to_all, "api", check=False)
    assert done.returncode == 2
    assert "The administrator's password is a well-known one" in done.stdout + done.stderr


def test_the_doctor_finds_nothing_wrong(stack: Stack) -> None:
    done = stack.compose("--profile", "operations", "run", "--rm", "operations", "lossline", "doctor", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_database_does_not_wait_for_hours_for_a_service_whose_host_is_lost(stack: Stack) -> None:
    assert within(stack, "task_controller", "python", "-c", ASKED_OF_SERVER) == (0, "3 10 5 30000\n")
