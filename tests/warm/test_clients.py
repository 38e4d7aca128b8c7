"""The clients by themselves, against a server that is the test."""

import os
import secrets
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from services.model_worker.warm import clients as clients_module
from services.model_worker.warm.clients import MONITOR, install_clients
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


MONITOR_LIKE_OASIS = """#!/bin/bash
echo "begins with $*"
while :
do
    sleep 60
done
"""

RUN_SCRIPT = """
oasis_exec_monitor.sh $$ logs & monitor=$!
until [ -s began ]; do read -rt 0.02 < /dev/zero || true; done
echo losses
kill -9 $monitor
"""


def test_a_run_ends_with_its_script_although_the_monitor_still_sleeps(tmp_path: Path) -> None:
    # Given a monitor that sleeps in a program of its own, as that of oasislmf does
    scripts = tmp_path / "with a space"
    scripts.mkdir()
    (scripts / MONITOR).write_text(MONITOR_LIKE_OASIS, encoding="utf-8")
    (scripts / MONITOR).chmod(0o755)
    directory = install_clients(tmp_path / "programs", [], scripts)
    environ = {**os.environ, "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}"}
    # When a run script kills it and ends
    with (tmp_path / "began").open("wb") as errors:
        run = subprocess.Popen(
            ["bash", "-c", RUN_SCRIPT],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        try:
            output, _ = run.communicate(timeout=20)
        finally:
            os.killpg(run.pid, signal.SIGKILL)
    # Then who waits for its output need not wait for the sleep, and what the monitor said is among the errors
    assert output == b"losses\n"
    assert f"begins with {run.pid} logs\n" in (tmp_path / "began").read_text(encoding="utf-8")


def test_an_installation_without_the_monitor_gets_none(tmp_path: Path) -> None:
    assert not (install_clients(tmp_path / "programs", [], tmp_path) / MONITOR).exists()
