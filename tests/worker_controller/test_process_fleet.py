"""What only a fleet of processes does: it is found again, leaves nothing behind, and hands no secret on."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.worker_controller import process_fleet
from services.worker_controller.errors import FleetError
from services.worker_controller.fleet import Member
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.process_fleet import ProcessFleet
from tests.worker_controller.fleets import WAITS
from tests.worker_controller.waiting import eventually

STARTS_ONE = """
import os, sys
from pathlib import Path
from services.worker_controller.process_fleet import ProcessFleet
from tests.worker_controller.fleets import WAITS
from tests.worker_controller.test_process_fleet import model
fleet = ProcessFleet(Path(sys.argv[1]), Path(sys.argv[2]), dict(os.environ), int(sys.argv[3]))
fleet.__enter__()
fleet.start("one", model(WAITS))
os.kill(os.getpid(), 9)
"""


def model(program: str) -> ModelEntry:
    return ModelEntry("S", "M", "1", command=(sys.executable, "-c", program))


def member(fleet: ProcessFleet, name: str) -> Member:
    return {each.name: each for each in fleet.members()}[name]


def ended(fleet: ProcessFleet, name: str) -> Callable[[], bool]:
    return lambda: member(fleet, name).ended is not None


def killed_controller(state: Path, tmp_path: Path, lifeline: int = 0) -> None:
    """A controller that starts a worker and is killed."""
    command = [sys.executable, "-c", STARTS_ONE, str(state), str(tmp_path / "logs"), str(lifeline)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_a_restarted_controller_finds_its_workers_and_how_they_ended(
    fleet: ProcessFleet, state: Path, tmp_path: Path
) -> None:
    # Given a worker whose controller was killed
    killed_controller(state, tmp_path)
    # Then it lives, and is a member
    assert member(fleet, "one").ended is None
    log = tmp_path / "logs" / "worker-S-M-1-v2.log"
    eventually(lambda: log.exists() and "up" in log.read_text(), "the worker is up")
    # And when it ends, it is known how, though nobody of ours was its parent
    fleet.stop("one")
    eventually(ended(fleet, "one"), "it has ended")
    end = member(fleet, "one").ended
    assert end is not None
    assert end.in_order


def test_a_worker_whose_lifeline_has_gone_is_killed(fleet: ProcessFleet, state: Path, tmp_path: Path) -> None:
    lifeline = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
    try:
        killed_controller(state, tmp_path, lifeline.pid)
        assert member(fleet, "one").ended is None
    finally:
        lifeline.kill()
        lifeline.wait()
    eventually(ended(fleet, "one"), "it has ended")
    assert member(fleet, "one").ended is not None


def test_keeper_and_worker_die_together(fleet: ProcessFleet, state: Path) -> None:
    fleet.start("one", model(WAITS))
    keeper = psutil.Process(json.loads((state / "one" / "keeper.json").read_text())["pid"])
    (worker,) = eventually(keeper.children, "the worker is there")
    keeper.kill()
    eventually(ended(fleet, "one"), "it has ended")
    eventually(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, "the worker is gone")
    end = member(fleet, "one").ended
    assert end is not None
    assert "killed together with its keeper" in end.reason


def test_a_start_that_was_cut_short_leaves_no_member(state: Path, tmp_path: Path) -> None:
    (state / "half").mkdir(parents=True)
    with ProcessFleet(state, tmp_path / "logs", {}) as fleet:
        assert fleet.members() == []
    assert not (state / "half").exists()


def test_a_start_that_fails_leaves_no_member(fleet: ProcessFleet, state: Path, tmp_path: Path) -> None:
    (tmp_path / "logs" / "worker-S-M-1-v2.log").mkdir()
    with pytest.raises(FleetError, match="the process fleet fails"):
        fleet.start("one", model(WAITS))
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("file", ["member.json", "keeper.json"])
def test_a_disk_that_is_full_is_named_and_leaves_no_worker(
    fleet: ProcessFleet, state: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    def write(path: Path, content: Mapping[str, Any], whole: Callable[..., None] = process_fleet._write) -> None:
        if path.name == file:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(path, content)

    monkeypatch.setattr(process_fleet, "_write", write)
    with pytest.raises(FleetError, match="No space left on device"):
        fleet.start("one", model(WAITS))
    assert list(state.iterdir()) == []
    eventually(lambda: not _of(state), "nothing runs")


def _of(state: Path) -> list[psutil.Process]:
    """Keepers of this fleet."""
    found = psutil.process_iter(["cmdline"])
    return [each for each in found if any(str(state) in word for word in each.info["cmdline"] or ())]


def test_a_worker_that_cannot_serve_says_why(fleet: ProcessFleet, tmp_path: Path) -> None:
    storage = {"STORAGE_TYPE": "local-fs", "MEDIA_ROOT": str(tmp_path), "CACHE": str(tmp_path / "host")}
    environment = {f"OASIS_WORKER_MODEL_STORAGE_{name}": value for name, value in storage.items()}
    fleet.start("one", ModelEntry("S", "M", "1", directory="/nowhere", environment=environment))
    eventually(ended(fleet, "one"), "it has ended")
    end = member(fleet, "one").ended
    assert end is not None
    assert "exit status 1: The model storage has no data of this model: there is no object S/M/1/" in end.reason


def test_a_worker_gets_what_it_needs_and_none_of_the_controllers_secrets(state: Path, tmp_path: Path) -> None:
    ours = {"PATH": os.environ["PATH"], "OASIS_RABBIT_HOST": "rabbit", "OASIS_SERVICE_PASSWORD_OR_SECRET": "s"}
    ours |= {"OASIS_SERVER_DB_PASS": "s", "OASIS_WORKER_CONTROLLER_STATE": "/"}
    told = tmp_path / "told"
    program = f"import json, os; open({str(told)!r}, 'w').write(json.dumps(dict(os.environ)))"
    with ProcessFleet(state, tmp_path / "logs", ours) as fleet:
        fleet.start("one", model(program))
        eventually(ended(fleet, "one"), "it has ended")
    environ = json.loads(told.read_text())
    assert environ["OASIS_RABBIT_HOST"] == "rabbit"
    assert environ["OASIS_BASE_RUN_DIR"] == str(state / "one" / "run")
    assert "s" not in environ.values()
    assert not {"OASIS_WORKER_CONTROLLER_STATE"} & environ.keys()
