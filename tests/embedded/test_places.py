"""Ports, folders and locks."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from services.embedded.environment import Surroundings
from services.embedded.errors import EmbeddedError, FolderInUse, PortTaken
from services.embedded.folder_lock import FolderLock
from services.embedded.layout import ROOT_HOME, Layout
from services.embedded.ports import check_port_free, free_port
from tests.embedded.living import Command


def test_a_taken_port_is_named_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"Port {port} on 127.0.0.1 .* by .+ \(process {os.getpid()}\)"):
            check_port_free("127.0.0.1", port)
    check_port_free("127.0.0.1", port)


def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()
    check_port_free("127.0.0.1", port)
    socket.create_server(("127.0.0.1", port)).close()


def test_an_address_that_is_not_ours_is_not_called_taken() -> None:
    with pytest.raises(EmbeddedError, match="cannot be listened on") as raised:
        check_port_free("192.0.2.1", 20_000)
    assert not isinstance(raised.value, PortTaken)


def test_the_home_is_the_setting_else_the_place_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Layout.from_env({"LOSSLINE_HOME": "/somewhere", "XDG_DATA_HOME": "/data"}).home == Path("/somewhere")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Layout.from_env({"XDG_DATA_HOME": "/somewhere/data"}).home == ROOT_HOME
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert Layout.from_env({"XDG_DATA_HOME": "/data"}).home == Path("/data/lossline")
    assert Layout.from_env({}).home == Path.home() / ".local" / "share" / "lossline"


def test_the_folders_are_closed_to_others(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "home").create()
    folders = [layout.rabbitmq, layout.objects, layout.run, layout.logs, layout.cache, layout.models]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert stat.S_IMODE(layout.home.stat().st_mode) in {0o700, 0o711}
    assert layout.postgres.is_dir()
    layout.create()


def test_a_home_that_exists_keeps_its_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Layout(tmp_path).create()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_lock_is_held_by_one_and_free_after_it(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(FolderInUse, match=f"process {os.getpid()}"), FolderLock(tmp_path):
        pass
    with FolderLock(tmp_path):
        pass


def test_a_server_that_inherited_the_lock_keeps_it(tmp_path: Path, command: Callable[[str], Command]) -> None:
    # Given a command that died and left a server with the lock's descriptor
    parent = command(f"""
        import subprocess
        from pathlib import Path
        from services.embedded.folder_lock import FolderLock
        lock = FolderLock(Path({str(tmp_path)!r})).__enter__()
        server = subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()], stdout=subprocess.DEVNULL)
        Path({str(tmp_path / "server")!r}).write_text(str(server.pid))
    """)
    server = int((tmp_path / "server").read_text())
    parent.process.kill()
    parent.process.wait()
    # Then the folder is not free until that server is gone
    with pytest.raises(FolderInUse), FolderLock(tmp_path, patience=0.2):
        pass
    os.kill(server, 9)
    with FolderLock(tmp_path):
        pass


def test_services_with_a_database_know_the_exporter_of_traces_and_workers_do_not(tmp_path: Path) -> None:
    keep = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTHER": "x"}
    around = Surroundings("postgresql://u@h/d", "amqp://b", tmp_path, "key", tmp_path, keep=keep)

    assert around.of_api("127.0.0.1", 8000)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in around.of_internal_worker(tmp_path, tmp_path)
