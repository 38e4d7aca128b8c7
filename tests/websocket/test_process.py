"""The server as a process: health, an ordered stop, settings, and a database that goes away and comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from services.api.settings import InsecureSettings
from services.api.websocket.settings import WebsocketSettings
from shared.core.states import RunKind
from shared.database.migrations import upgrade
from shared.settings import BadSetting
from tests.api.live_server import environment, free_port
from tests.fakes.database import DatabaseServer
from tests.task_controller.world import MODEL_QUEUE, World
from tests.websocket.process import ServerProcess, server_process, start
from tests.websocket.serving import PATIENCE, heard, heard_until, queue_of, until

pytestmark = pytest.mark.integration


@pytest.fixture
def environ(database: URL, tmp_path: Path) -> dict[str, str]:
    return environment(database, tmp_path, OASIS_WEBSOCKET_LOOK_EVERY="0.1", OASIS_WEBSOCKET_PACE="0.05")


async def test_sigterm_tells_clients_to_come_again_and_ends_with_status_0(
    environ: dict[str, str], tmp_path: Path, token: Callable[..., str]
) -> None:
    async with server_process(environ, tmp_path / "log") as server, server.client(token()) as client:
        assert (server.health("/healthz"), server.health("/readyz"), server.healthcheck()) == (200, 200, 200)
        await heard(client)
        ended = asyncio.create_task(asyncio.to_thread(server.stop))
        # Clean codes (1000, 1001) end a worker controller; others let it connect again.
        with pytest.raises(ConnectionClosedError) as caught:
            await asyncio.wait_for(client.recv(), PATIENCE)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        assert await ended == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["message"] for line in lines] == ["Serving", "Stopped"]
    assert {line["service"] for line in lines} == {"websocket"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OASIS_SERVER_SECRET_KEY", "", "OASIS_SERVER_SECRET_KEY"),
        ("OASIS_WEBSOCKET_PACE", "0", "OASIS_WEBSOCKET_PACE is '0': set it to a number of seconds above 0"),
        ("OASIS_WEBSOCKET_PORT", "many", "OASIS_WEBSOCKET_PORT"),
    ],
)
def test_a_bad_setting_ends_it_at_once_with_status_2(
    environ: dict[str, str], tmp_path: Path, name: str, value: str, said: str
) -> None:
    process = start({**environ, name: value}, tmp_path / "log")
    assert process.wait(PATIENCE) == 2
    assert said in (tmp_path / "log").read_text()


async def test_an_address_that_is_taken_ends_it_with_status_1(environ: dict[str, str], tmp_path: Path) -> None:
    async with server_process(environ, tmp_path / "first") as first:
        process = start({**environ, "OASIS_WEBSOCKET_PORT": str(first.port)}, tmp_path / "second")
        assert process.wait(PATIENCE) == 1
        assert f"{first.port}" in (tmp_path / "second").read_text()


def test_settings_are_read_and_well_known_secrets_refused(environ: dict[str, str]) -> None:
    told = {"OASIS_WEBSOCKET_HOST": "192.0.2.1", "OASIS_SERVER_WEBSOCKET_PORT": "9"}
    told |= {"OASIS_ANALYSIS_STATUS_OPEN": "yes"}
    with pytest.raises(InsecureSettings):
        WebsocketSettings.from_environ(environ | told)
    settings = WebsocketSettings.from_environ(
        environ | told | {"OASIS_SERVICE_PASSWORD_OR_SECRET": "nobody knows this one"}
    )
    assert (settings.host, settings.port, settings.analysis_status_open) == ("192.0.2.1", 9, True)
    assert WebsocketSettings.from_environ(environ).port == 8001
    with pytest.raises(BadSetting):
        WebsocketSettings.from_environ(environ | {"OASIS_WEBSOCKET_PATIENCE": "-1"})


async def test_a_database_that_comes_back_is_heard_of_on_the_same_connection(
    world: World, server: DatabaseServer, environ: dict[str, str], tmp_path: Path, token: Callable[..., str]
) -> None:
    async with server_process(environ, tmp_path / "log") as live, live.client(token()) as client:
        await heard(client)
        with gone(server, world):
            await until(lambda: live.health("/readyz") == 503, "it says that it is not ready")
            assert (live.healthcheck(), live.health("/healthz")) == (503, 200)
            with pytest.raises(InvalidStatus) as caught:
                async with live.client(token()):
                    raise AssertionError("nobody can be let in")
            assert caught.value.response.status_code == 503
        world.started(RunKind.GENERATE_INPUTS)
        assert await heard_until(client, lambda each: queue_of(each, MODEL_QUEUE))
        await until(lambda: live.health("/readyz") == 200, "it is ready again")


@contextmanager
def gone(server: DatabaseServer, world: World) -> Iterator[None]:
    """The test's database hangs up and lets nobody in."""
    name = world.engine.url.database
    world.engine.dispose()
    where = server.url("postgres").set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


async def test_a_database_without_tables_is_waited_for(server: DatabaseServer, tmp_path: Path) -> None:
    name = f"bare_{tmp_path.name[-20:].replace('-', '_')}"
    server.server.create_database(name)
    port = free_port()
    process = start(environment(server.url(name), tmp_path, OASIS_WEBSOCKET_PORT=str(port)), tmp_path / "log")
    live = ServerProcess(process, port, 0)
    try:
        await until(lambda: live.healthcheck() == 503, "it says that it cannot read")
        await asyncio.to_thread(upgrade, server.url(name))
        await until(lambda: live.healthcheck() == 200, "it can read")
    finally:
        assert live.stop() == 0
        server.server.drop_database(name)


async def test_it_starts_before_its_database_and_waits_for_it(
    world: World, server: DatabaseServer, environ: dict[str, str], tmp_path: Path
) -> None:
    with gone(server, world):
        process = start({**environ, "OASIS_WEBSOCKET_PORT": "0"}, tmp_path / "log")
        try:
            log = tmp_path / "log"
            await until(lambda: "Cannot look at the queues" in log.read_text(), "it says why it waits")
            assert process.poll() is None
        finally:
            assert ServerProcess(process, 0, 0).stop() == 0
