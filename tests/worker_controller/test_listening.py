"""The listener against a websocket server that does everything wrong in turn."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from services.worker_controller.api_client import ApiClient
from services.worker_controller.listening import Latest, Listener
from services.worker_controller.rules import Demand
from tests.worker_controller.http_api import HttpApi
from tests.worker_controller.test_snapshots import MESSAGE
from tests.worker_controller.waiting import eventually


class QueueStatus:
    """Serves one connection after the other; each is handed to `serves`."""

    def __init__(self, api: HttpApi) -> None:
        self.api = api
        self.connections: list[ServerConnection] = []
        self.refused = 0
        self.port = 0
        self._gone = threading.Event()

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Authorization") == f"Bearer {self.api.good_token}":
            return None
        self.refused += 1
        return connection.respond(403, "no")

    def handle(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        connection.send(json.dumps(MESSAGE))
        for _ in connection:
            pass

    @contextmanager
    def serving(self) -> Iterator[None]:
        with serve(self.handle, "127.0.0.1", self.port, process_request=self.admit) as server:
            self.port = server.socket.getsockname()[1]
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                for connection in self.connections:
                    connection.close(1012)
                thread.join()


@pytest.fixture
def api() -> Iterator[HttpApi]:
    with HttpApi().serving() as serving:
        yield serving


@pytest.fixture
def status(api: HttpApi) -> QueueStatus:
    return QueueStatus(api)


@pytest.fixture
def latest() -> Latest:
    return Latest()


@contextmanager
def listening(status: QueueStatus, api: HttpApi, latest: Latest) -> Iterator[Listener]:
    stopping = threading.Event()
    with closing(ApiClient(api.url, {"username": "u", "password": "p"})) as client:
        listener = Listener(f"ws://127.0.0.1:{status.port}/ws/v2/queue-status/", client, latest)
        thread = threading.Thread(target=listener.run, args=(stopping,))
        thread.start()
        try:
            yield listener
        finally:
            stopping.set()
            thread.join()


def heard(latest: Latest) -> Callable[[], Mapping[str, Demand] | None]:
    return lambda: latest.get()[0]


@pytest.mark.parametrize("code", [1000, 1001, 1012])
def test_a_close_however_clean_is_followed_by_another_connection(
    status: QueueStatus, api: HttpApi, latest: Latest, code: int
) -> None:
    with status.serving(), listening(status, api, latest) as listener:
        assert set(eventually(heard(latest), "it is heard") or ()) == {"S-M-1-v2"}
        status.connections[0].close(code)
        eventually(lambda: len(status.connections) == 2, "it connects again")
        eventually(heard(latest), "it is heard again")
        assert listener.connected


def test_a_token_that_is_refused_is_renewed(status: QueueStatus, api: HttpApi, latest: Latest) -> None:
    with status.serving(), listening(status, api, latest):
        eventually(heard(latest), "it is heard")
        api.logins.append({})
        status.connections[0].close(1000)
        eventually(lambda: len(status.connections) == 2, "it connects again")
        assert status.refused == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "queue_status.updated"}', b"\xff"])
def test_nothing_is_known_after_a_message_that_is_not_whole(
    status: QueueStatus, api: HttpApi, latest: Latest, text: Any
) -> None:
    with status.serving(), listening(status, api, latest):
        eventually(heard(latest), "it is heard")
        status.connections[0].send(text)
        eventually(lambda: latest.get()[0] is None, "it is forgotten")
        status.connections[0].send(json.dumps(MESSAGE))
        eventually(heard(latest), "the next one is heard")
        assert len(status.connections) == 1


def test_nothing_is_known_while_the_server_is_away_and_it_is_found_when_it_is_back(
    status: QueueStatus, api: HttpApi, latest: Latest
) -> None:
    with status.serving(), listening(status, api, latest) as listener:
        eventually(heard(latest), "it is heard")
        status.connections[0].socket.close()
    assert latest.get()[0] is None
    assert not listener.connected
    with listening(status, api, latest) as listener:
        assert not listener.connected
        with status.serving():
            eventually(heard(latest), "it is heard again")
