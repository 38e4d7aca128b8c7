"""The service as a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from sqlalchemy import URL

PATIENCE = 60.0
"""Seconds."""


@dataclass(frozen=True)
class LiveServer:
    """A running service."""

    process: "subprocess.Popen[bytes]"
    url: str

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def live_server(environ: dict[str, str], log: Path) -> Iterator[LiveServer]:
    """Start the service and wait until it answers; kill it if it is still there afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "services.api"]
    with log.open("wb") as output:
        whole = {**os.environ, **environ, "OASIS_API_PORT": str(port)}
        process = subprocess.Popen(command, env=whole, stdout=output, stderr=output)
        try:
            server = LiveServer(process, f"http://127.0.0.1:{port}")
            _wait_until_it_answers(server, log)
            yield server
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE)


def environment(url: URL, store: Path, **more: str) -> dict[str, str]:
    """What the service needs to know."""
    host = url.query.get("host") or url.host
    return {
        "OASIS_SERVER_DB_HOST": str(host),
        "OASIS_SERVER_DB_NAME": str(url.database),
        "OASIS_SERVER_DB_USER": str(url.username),
        "OASIS_SERVER_SECRET_KEY": "a key of the tests",
        "OASIS_SERVICE_USERNAME_OR_ID": "admin",
        "OASIS_SERVICE_PASSWORD_OR_SECRET": "password",
        "OASIS_MEDIA_ROOT": str(store),
        **({"OASIS_SERVER_DB_PORT": str(url.port)} if url.port else {}),
        **more,
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_it_answers(server: LiveServer, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if requests.get(f"{server.url}/healthcheck/", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError(f"the service does not answer: {log.read_text()}")
