"""A RabbitMQ node of our own from the installed `rabbitmq-server`, without systemd and as the present user."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from services.embedded.child import has_ended, log_tail, reap, start_child, stop_child, wait_until
from services.embedded.errors import RabbitMQMissing, StartFailed
from services.embedded.ports import free_port
from services.embedded.rabbitmq_settings import Identity, NodePorts, environment, write_files

# The real start scripts. Those in /usr/sbin of Debian and Red Hat are wrappers that insist on the user `rabbitmq`.
_PLACES = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/usr/lib64/rabbitmq/bin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
    "/usr/local/lib/rabbitmq/bin/rabbitmq-server",
    "/opt/homebrew/sbin/rabbitmq-server",
)


def find_server(places: Sequence[str] = _PLACES) -> Path | None:
    """The start script of an installed RabbitMQ; None when there is none."""
    for place in places:
        if os.access(place, os.X_OK):
            return Path(place)
    found = shutil.which("rabbitmq-server")
    return Path(found) if found else None


def find_epmd() -> Path:
    """Erlang's port mapper: on the PATH, else in Erlang's own folder."""
    found = shutil.which("epmd")
    if found:
        return Path(found)
    erl = shutil.which("erl")
    if erl is None:
        raise RabbitMQMissing("Erlang (`erl`) is not on the PATH; install RabbitMQ with the Erlang that it needs.")
    ask = [erl, "-noinput", "-boot", "start_clean", "-eval", "io:format([code:root_dir()]),halt()."]
    root = subprocess.run(ask, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    return next(Path(root).glob("erts-*/bin/epmd"))


class LocalNode:
    """One node and its port mapper, both children of ours; the port mapper would else be a daemon that stays."""

    def __init__(self, server: Path, folder: Path, log: Path, port: int, identity: Identity, extra_config: str) -> None:
        self._server = server
        self._folder = folder
        self._log = log
        self._identity = identity
        self._extra_config = extra_config
        self._amqp, self._distribution = port, free_port()
        self._epmd_port = 0
        self._epmd: subprocess.Popen[bytes] | None = None
        self._beam: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the Erlang machine while it runs."""
        return self._beam.pid if self._beam and not has_ended(self._beam) else None

    def start(self, pass_fds: Sequence[int]) -> None:
        """Start the processes; the node is not ready yet."""
        write_files(self._folder, self._identity, self._amqp, self._extra_config)
        if self._epmd is None or has_ended(self._epmd):
            self._start_epmd()
        ports = NodePorts(self._amqp, self._distribution, self._epmd_port)
        env = environment(os.environ, self._folder, self._identity, ports)
        self._beam = start_child([str(self._server)], env=env, log=self._log, cwd=self._folder, pass_fds=pass_fds)

    def failure(self) -> str | None:
        """Why the node can no longer become ready; None while it can."""
        if self._beam is None or not has_ended(self._beam):
            return None
        return f"its process ended with status {reap(self._beam)}"

    def stop(self) -> None:
        """Shut the node down in order, then the port mapper."""
        if self._beam is not None:
            stop_child(self._beam, [(signal.SIGTERM, 30)])
        if self._epmd is not None:
            stop_child(self._epmd, [(signal.SIGTERM, 2)])
        self._beam = self._epmd = None

    def kill(self) -> None:
        """SIGKILL to the Erlang machine, as the kernel would when memory is short."""
        if self._beam is not None:
            stop_child(self._beam, [(signal.SIGKILL, 10)])

    def _start_epmd(self) -> None:
        """The port may be taken between its choice and its use: then another one."""
        epmd = str(find_epmd())
        for _ in range(3):
            self._epmd_port = free_port()
            argv = [epmd, "-port", str(self._epmd_port), "-address", "127.0.0.1"]
            self._epmd = child = start_child(argv, env={"PATH": os.environ.get("PATH", "")}, log=self._log)
            wait_until(lambda child=child: has_ended(child) or _listens(self._epmd_port), 10)  # type: ignore[misc]
            if not has_ended(child) and _listens(self._epmd_port):
                return
            stop_child(child, [])
        raise StartFailed("RabbitMQ", "its port mapper epmd did not start", self._log, log_tail(self._log))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
