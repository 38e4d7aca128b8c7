"""The websocket server as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from websockets.asyncio.client import connect

from tests.api.live_server import free_port
from tests.websocket.serving import PATIENCE, QUEUE_STATUS, until


@dataclass(frozen=True)
class ServerProcess:
    """A running process, and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    health_port: int

    def client(self, token: str) -> connect:
        """A connection as worker controllers make it, to be entered."""
        url = f"ws://127.0.0.1:{self.port}{QUEUE_STATUS}"
        return connect(url, additional_headers={"AUTHORIZATION": f"Bearer {token}"}, ping_interval=None, proxy=None)

    def health(self, path: str) -> int:
        """The status of a health check."""
        return status_of(f"http://127.0.0.1:{self.health_port}{path}")

    def healthcheck(self) -> int:
        """The status of the health check on its own port."""
        return status_of(f"http://127.0.0.1:{self.port}/healthcheck/")

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def status_of(url: str) -> int:
    """The status of a GET; 0 where nobody answers."""
    try:
        return requests.get(url, timeout=10).status_code
    except requests.ConnectionError:
        return 0


def start(environ: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start the process."""
    whole = {**os.environ, **environ}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "services.api.websocket"], env=whole, stdout=output, stderr=output
        )


@asynccontextmanager
async def server_process(environ: Mapping[str, str], log: Path) -> AsyncIterator[ServerProcess]:
    """Start the process and wait until it is ready; kill it if it is still there afterwards."""
    port, health = free_port(), free_port()
    own = {"OASIS_WEBSOCKET_PORT": str(port), "OASIS_WEBSOCKET_HEALTH_PORT": str(health)}
    server = ServerProcess(start({**environ, **own}, log), port, health)
    try:
        await until(lambda: server.process.poll() is not None or server.health("/readyz") == 200, "it is ready")
        assert server.process.poll() is None, log.read_text()
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait(PATIENCE)
