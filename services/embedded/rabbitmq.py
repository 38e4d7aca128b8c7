"""The private broker of the embedded default."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pika  # type: ignore[import-untyped]
import pika.exceptions  # type: ignore[import-untyped]

from services.embedded.child import log_tail
from services.embedded.errors import RabbitMQMissing, StartFailed
from services.embedded.folder_lock import FolderLock
from services.embedded.ports import check_port_free, free_port
from services.embedded.rabbitmq_container import ContainerNode, docker_answers
from services.embedded.rabbitmq_node import LocalNode, find_server
from services.embedded.rabbitmq_settings import Identity, identity_of

DEFAULT_IMAGE = "rabbitmq:4"
_POLL_SECONDS = 0.1

log = logging.getLogger(__name__)


class Node(Protocol):
    """A RabbitMQ that we start: from the installed server, or in a container."""

    @property
    def pid(self) -> int | None: ...
    def start(self, pass_fds: Sequence[int]) -> None: ...
    def failure(self) -> str | None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


def image_from(env: Mapping[str, str]) -> str:
    """The container image: $LOSSLINE_RABBITMQ_IMAGE, else `rabbitmq:4`."""
    return env.get("LOSSLINE_RABBITMQ_IMAGE") or DEFAULT_IMAGE


class PrivateBroker:
    """A RabbitMQ node of this command's own, on the loopback, with one user and a random password.

    Its data stay in `folder` between starts. Enter and restart it in a thread that lives as long as the broker
    (the main one): the kernel ends the broker with that thread. `ready_within` is in seconds, `extra_config`
    lines of rabbitmq.conf. With `waits` false whoever enters it calls `wait_ready` before the first use.

    Raises RabbitMQMissing, FolderInUse, PortTaken, StartFailed (with the last lines of the log).
    """

    def __init__(
        self,
        folder: Path,
        log_file: Path,
        *,
        port: int = 0,
        image: str = DEFAULT_IMAGE,
        extra_config: str = "",
        ready_within: float = 90,
        waits: bool = True,
    ) -> None:
        self._folder = folder.absolute()
        self._log_file = log_file.absolute()
        self._port = port
        self._image = image
        self._extra_config = extra_config
        self._ready_within = ready_within
        self._waits = waits
        self._began = 0.0
        self._resources = ExitStack()
        self._lock_descriptor = -1
        self._identity: Identity | None = None
        self._node: Node | None = None

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            self._lock_descriptor = entered.enter_context(FolderLock(self._folder)).fileno()
            self._identity = identity_of(self._folder)
            self._choose_port()
            self._node = self._make_node(self._identity)
            entered.callback(self._node.stop)
            self._launch(self._node)
            if self._waits:
                self.wait_ready()
            self._resources = entered.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._resources.close()
        self._node = None

    @property
    def port(self) -> int:
        """The AMQP port; it stays the same over `restart`."""
        return self._port

    @property
    def url(self) -> str:
        """The AMQP URL with the user and the password: never log it."""
        if self._identity is None:
            raise RuntimeError("the broker was not started")
        return self._identity.url(self._port)

    @property
    def node_name(self) -> str:
        """The node's name without its host."""
        if self._identity is None:
            raise RuntimeError("the broker was not started")
        return self._identity.node

    @property
    def pid(self) -> int | None:
        """Process id of the running broker; None after `kill`."""
        return self._running().pid

    def kill(self) -> None:
        """SIGKILL the broker, for fault tests; `restart` brings it back."""
        self._running().kill()

    def restart(self) -> None:
        """Stop the broker in order if it runs, and start it on the same port and data."""
        node = self._running()
        node.stop()
        self._launch(node)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Until a client can log in. Raises StartFailed."""
        reason = self._wait(self._running(), self._began + self._ready_within)
        if reason is not None:
            raise StartFailed("RabbitMQ", reason, self._log_file, boot_story(log_tail(self._log_file, 80)))
        log.info("broker is ready", extra={"port": self._port, "seconds": round(time.monotonic() - self._began, 2)})

    def _running(self) -> Node:
        if self._node is None:
            raise RuntimeError("the broker was not started")
        return self._node

    def _choose_port(self) -> None:
        self._port = self._port or free_port()
        check_port_free("127.0.0.1", self._port)

    def _make_node(self, identity: Identity) -> Node:
        server = find_server()
        if server is not None:
            return LocalNode(server, self._folder, self._log_file, self._port, identity, self._extra_config)
        if docker_answers():
            return ContainerNode(self._image, self._folder, self._log_file, self._port, identity, self._extra_config)
        raise RabbitMQMissing

    def _launch(self, node: Node) -> None:
        self._began = time.monotonic()
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        node.start([self._lock_descriptor])

    def _wait(self, node: Node, deadline: float) -> str | None:
        """None when the broker is ready, else why it is not."""
        while True:
            answer = handshake(self.url, self._port)
            if answer is None:
                return None
            failed = node.failure()
            if failed is not None:
                return failed
            if time.monotonic() > deadline:
                return f"no AMQP connection within {self._ready_within:g} s ({answer})"
            time.sleep(_POLL_SECONDS)


def boot_story(text: str, lines: int = 16) -> str:
    """The lines that end in "BOOT FAILED" when there are such, for Erlang's crash reports bury them; else the last."""
    story = text.splitlines()
    failed = [number for number, line in enumerate(story) if "BOOT FAILED" in line]
    end = failed[-1] + 1 if failed else len(story)
    return "\n".join(story[max(0, end - lines) : end])


def handshake(url: str, port: int) -> str | None:
    """None when a client can log in, else why it cannot."""
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return "nothing listens on its port"
    parameters = pika.URLParameters(f"{url}?connection_attempts=1&socket_timeout=5&blocked_connection_timeout=5")
    try:
        pika.BlockingConnection(parameters).close()
    except pika.exceptions.AMQPError as error:
        return repr(error)
    return None
