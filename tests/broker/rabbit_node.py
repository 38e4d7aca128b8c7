"""A RabbitMQ node that belongs to the tests: its own directory, ports, cookie and epmd; it can be killed."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

SBIN = Path("/usr/lib/rabbitmq/bin")
START_SECONDS = 60.0


def installed() -> bool:
    """Whether RabbitMQ is installed on this machine."""
    return (SBIN / "rabbitmq-server").exists()


def free_port() -> int:
    """A TCP port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class RabbitNode:
    """Start it, kill it with SIGKILL, start it again with its data, ask `rabbitmqctl`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._epmd_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "home").mkdir(parents=True)
        cookie = directory / "home" / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16).upper())
        cookie.chmod(0o400)
        (directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.file = node.log\nlog.console = false\n"
        )
        (directory / "enabled_plugins").write_text("[].\n")
        self._environment = self._make_environment(free_port())

    def url(self, vhost: str = "/") -> str:
        """The AMQP URL of a virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{vhost.replace('/', '%2F')}"

    def start(self) -> None:
        """Start the node and wait until it accepts connections."""
        with (self.directory / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [SBIN / "rabbitmq-server"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not start:\n{(self.directory / 'out').read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to the node and its helpers: nothing is flushed, no connection is closed politely."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            self._wait_until_port_is_free()

    def close(self) -> None:
        """Kill the node and the epmd that it started."""
        self.kill()
        deadline = time.monotonic() + 10
        kill = ["epmd", "-port", str(self._epmd_port), "-kill"]
        while b"Killed" not in subprocess.run(kill, capture_output=True, check=False).stdout:
            # epmd refuses for the moment in which it still knows the node.
            if time.monotonic() > deadline:
                raise RuntimeError("epmd does not end")
            time.sleep(0.05)

    def add_vhosts(self, names: Sequence[str]) -> None:
        """New virtual hosts for the user guest, which outlive the node's death. One call takes a second of its own."""
        all_of_them = ", ".join(f'<<"{name}">>' for name in names)
        self.evaluate(
            'lists:foreach(fun(V) -> rabbit_vhost:add(V, <<"tests">>), rabbit_auth_backend_internal:set_permissions('
            f'<<"guest">>, V, <<".*">>, <<".*">>, <<".*">>, <<"tests">>) end, [{all_of_them}]), mnesia:sync_log().'
        )

    def evaluate(self, expression: str) -> str:
        """The value of an Erlang expression on the node (`rabbitmqctl eval`)."""
        done = subprocess.run(
            [SBIN / "rabbitmqctl", "eval", expression],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def flush_metadata(self) -> None:
        """Write declared queues to the disk now.

        A node that is killed moments after a queue was declared can come back without the queue, and so without
        its confirmed messages: its table of queues reaches the disk later than queue.declare-ok reaches the client.
        """
        self.evaluate("mnesia:sync_log().")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _wait_until_port_is_free(self) -> None:
        # The leader of the process group is gone before the Erlang VM is; a restart would meet the dying listener.
        deadline = time.monotonic() + 10
        while self._listens():
            if time.monotonic() > deadline:
                raise RuntimeError(f"Something still listens on port {self.port}")
            time.sleep(0.02)

    def _make_environment(self, distribution_port: int) -> dict[str, str]:
        base = self.directory
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(base / "home"),
            "RABBITMQ_NODENAME": f"tests-{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(base / "data"),
            "RABBITMQ_LOG_BASE": str(base / "log"),
            "RABBITMQ_CONFIG_FILE": str(base / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": str(base / "erl_crash.dump"),
            "LC_ALL": "C.UTF-8",
        }
