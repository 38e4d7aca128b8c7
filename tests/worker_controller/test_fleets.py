"""What every fleet does alike, with real workers of a few lines."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from services.worker_controller.errors import FleetError
from services.worker_controller.models_file import ModelEntry
from tests.worker_controller.fleets import DEAF, WAITS, Backend
from tests.worker_controller.waiting import eventually

pytestmark = pytest.mark.integration

TELLS = """
import os
told = [os.environ[name] for name in ("LOSSLINE_FLEET_NAME", "OASIS_MODEL_ID", "MORE")]
raise SystemExit(7 if told == ["one", "M", "said"] else 1)
"""


def ended(backend: Backend, name: str) -> Callable[[], bool]:
    return lambda: backend.member(name).ended is not None


def test_a_started_worker_is_a_member_until_it_is_forgotten(backend: Backend) -> None:
    assert list(backend.fleet.members()) == []
    backend.fleet.start("one", backend.model(WAITS))
    assert (backend.member("one").queue, backend.member("one").ended) == ("S-M-1-v2", None)
    eventually(lambda: "up" in backend.log("one"), "the worker is up")
    backend.fleet.stop("one")
    eventually(ended(backend, "one"), "it has ended")
    end = backend.member("one").ended
    assert end is not None
    assert (end.in_order, end.exit_status, end.signal) == (True, 0, None)
    backend.fleet.forget("one")
    assert list(backend.fleet.members()) == []


def test_a_worker_knows_its_name_and_its_model_and_what_the_file_says(backend: Backend) -> None:
    backend.fleet.start("one", backend.model(TELLS, MORE="said"))
    eventually(ended(backend, "one"), "it has ended")
    end = backend.member("one").ended
    assert end is not None
    assert end.exit_status == 7, backend.log("one")


def test_the_end_of_a_worker_is_told_with_its_reason(backend: Backend) -> None:
    backend.fleet.start("status", backend.model("raise SystemExit(3)"))
    backend.fleet.start("signal", backend.model(WAITS))
    eventually(ended(backend, "status"), "it has ended")
    by_status = backend.member("status").ended
    assert by_status is not None
    assert (by_status.exit_status, by_status.in_order) == (3, False)
    assert "exit status 3" in by_status.reason
    backend.kill_from_outside("signal")
    eventually(ended(backend, "signal"), "it has ended")
    by_signal = backend.member("signal").ended
    assert by_signal is not None
    assert (by_signal.exit_status, by_signal.signal) == (None, signal.SIGKILL)


def test_a_killed_worker_ends_though_it_does_not_listen(backend: Backend) -> None:
    backend.fleet.start("one", backend.model(DEAF))
    eventually(lambda: "up" in backend.log("one"), "the worker is up")
    backend.fleet.stop("one")
    backend.fleet.kill("one")
    eventually(ended(backend, "one"), "it has ended")


def test_a_program_that_is_not_there_ends_at_once_or_is_refused(backend: Backend) -> None:
    entry = ModelEntry("S", "M", "1", image=backend.image, command=("/nowhere/at/all",))
    try:
        backend.fleet.start("one", entry)
    except FleetError:
        assert list(backend.fleet.members()) == []
        return
    eventually(ended(backend, "one"), "it has ended")
    end = backend.member("one").ended
    assert end is not None
    assert not end.in_order


def test_what_has_ended_may_be_stopped_killed_and_forgotten_again(backend: Backend) -> None:
    backend.fleet.start("one", backend.model("pass"))
    eventually(ended(backend, "one"), "it has ended")
    backend.fleet.stop("one")
    backend.fleet.kill("one")
    for _ in range(2):
        backend.fleet.forget("one")
    backend.fleet.stop("one")
    backend.fleet.kill("one")


def test_another_controller_of_the_same_fleet_finds_its_members(backend: Backend) -> None:
    backend.fleet.start("one", backend.model(WAITS))
    eventually(lambda: "up" in backend.log("one"), "the worker is up")
    with backend.reopened() as other:
        (found,) = other.members()
        assert (found.name, found.queue, found.ended) == ("one", "S-M-1-v2", None)
        other.stop("one")
    eventually(ended(backend, "one"), "it has ended")
    end = backend.member("one").ended
    assert end is not None
    assert end.in_order
