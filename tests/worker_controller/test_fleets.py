"""What every fleet does alike, with real workers of a few lines."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.worker_controller.errors import FleetError
from services.worker_controller.fleet import Fleet, Member
from services.worker_controller.models_file import ModelEntry
from tests.worker_controller.waiting import eventually

WAITS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print('up', flush=True)
time.sleep(99)
"""
TELLS = """
import os, pathlib
pathlib.Path(os.environ['TOLD']).write_text(os.environ['LOSSLINE_FLEET_NAME'] + os.environ['OASIS_MODEL_ID'])
"""


def model(program: str, **environment: str) -> ModelEntry:
    return ModelEntry("S", "M", "1", command=(sys.executable, "-c", program), environment=environment)


def member(fleet: Fleet, name: str) -> Member:
    return {each.name: each for each in fleet.members()}[name]


def ended(fleet: Fleet, name: str) -> Callable[[], bool]:
    return lambda: member(fleet, name).ended is not None


@pytest.fixture
def up(tmp_path: Path) -> Callable[[], bool]:
    """Whether the worker that waits has come so far that it hears signals."""
    log = tmp_path / "logs" / "worker-S-M-1-v2.log"
    return lambda: log.exists() and "up" in log.read_text()


def test_a_started_worker_is_a_member_until_it_is_forgotten(fleet: Fleet, up: Callable[[], bool]) -> None:
    assert fleet.members() == []
    fleet.start("one", model(WAITS))
    assert (member(fleet, "one").queue, member(fleet, "one").ended) == ("S-M-1-v2", None)
    eventually(up, "the worker is up")
    fleet.stop("one")
    eventually(ended(fleet, "one"), "it has ended")
    end = member(fleet, "one").ended
    assert end is not None
    assert (end.in_order, end.exit_status, end.signal) == (True, 0, None)
    fleet.forget("one")
    assert fleet.members() == []


def test_a_worker_knows_its_name_and_its_model(fleet: Fleet, tmp_path: Path) -> None:
    told = tmp_path / "told"
    fleet.start("one", model(TELLS, TOLD=str(told)))
    eventually(ended(fleet, "one"), "it has ended")
    assert told.read_text() == "oneM"


def test_the_end_of_a_worker_is_told_with_its_reason(fleet: Fleet) -> None:
    fleet.start("status", model("raise SystemExit(3)"))
    fleet.start("signal", model("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    for name in ("status", "signal"):
        eventually(ended(fleet, name), "it has ended")
    by_status, by_signal = member(fleet, "status").ended, member(fleet, "signal").ended
    assert by_status is not None
    assert (by_status.exit_status, by_status.in_order) == (3, False)
    assert "exit status 3" in by_status.reason
    assert by_signal is not None
    assert (by_signal.exit_status, by_signal.signal) == (None, signal.SIGKILL)


def test_a_killed_worker_ends_though_it_does_not_listen(fleet: Fleet, up: Callable[[], bool]) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(99)"
    fleet.start("one", model(deaf))
    eventually(up, "the worker is up")
    fleet.stop("one")
    fleet.kill("one")
    eventually(ended(fleet, "one"), "it has ended")


def test_a_program_that_is_not_there_ends_at_once_or_is_refused(fleet: Fleet) -> None:
    entry = ModelEntry("S", "M", "1", command=("/nowhere/at/all",))
    try:
        fleet.start("one", entry)
    except FleetError:
        return
    eventually(ended(fleet, "one"), "it has ended")
    end = member(fleet, "one").ended
    assert end is not None
    assert not end.in_order


def test_what_has_ended_may_be_stopped_killed_and_forgotten_again(fleet: Fleet) -> None:
    fleet.start("one", model("pass"))
    eventually(ended(fleet, "one"), "it has ended")
    fleet.stop("one")
    fleet.kill("one")
    for _ in range(2):
        fleet.forget("one")
    fleet.stop("one")
    fleet.kill("one")
