"""The clients by themselves, against a server that is the test."""

import os
import secrets
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from services.model_worker.warm import clients as clients_module
from services.model_worker.warm.clients import install_clients
from services.model_worker.warm.environment import ADDRESS_VARIABLE
from services.model_worker.warm.request import ENDED, FORKED, STATUS


@pytest.fixture
def client(tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program's client in each language."""
    if language == "Python":
        monkeypatch.setattr(clients_module, "_COMPILERS", ())
    return Path(install_clients(tmp_path / "programs", ["tiny"])) / "tiny"


def test_a_signal_that_comes_as_the_program_begins_is_passed_on(client: Path) -> None:
    # Given a client that has asked for its program
    name = f"lossline-tests-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(b"\0" + name.encode())
        listener.listen()
        listener.settimeout(20)
        process = subprocess.Popen([client], env={**os.environ, ADDRESS_VARIABLE: name})
        connection, _ = listener.accept()
    with connection:
        connection.settimeout(20)
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 16)
        for descriptor in descriptors:
            os.close(descriptor)
        # When the signal is there before the client hears that the program runs
        process.send_signal(signal.SIGTERM)
        connection.send(FORKED)
        # Then the server is told of it, and the client ends as the program does
        assert connection.recv(1) == bytes([signal.SIGTERM])
        connection.send(ENDED + STATUS.pack(7 << 8))
        assert process.wait(20) == 7
