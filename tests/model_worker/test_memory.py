"""Attempts that use too much memory: ended by the worker, or by the kernel, and told as what they are."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.model_worker.cgroup import own_group
from services.model_worker.kernel_kills import SOON, KernelKills, KillCount, was_killed
from services.model_worker.memory import MemoryGauge, MemoryLimit, share_of
from services.model_worker.processes import ChildEnd
from shared.core.plan import SlotWeight
from shared.core.retries import Cause
from tests.model_worker.bench import Bench
from tests.model_worker.controller import Controller
from tests.model_worker.waiting import wait_for

MIB, GIB = 1024**2, 1024**3


class TestLimit:
    def test_the_message_says_what_was_used_what_is_allowed_and_where_to_set_it(self) -> None:
        message = MemoryLimit(2 * GIB, 4).excess(3 * GIB, SlotWeight.ONE) or ""
        for said in ("3.0 GiB", "2.0 GiB", "one of 4 slots", "OASIS_WORKER_MEMORY_PER_SLOT"):
            assert said in message

    def test_an_attempt_that_is_alone_may_use_what_all_slots_have(self) -> None:
        limit = MemoryLimit(2 * GIB, 4)
        assert limit.excess(8 * GIB, SlotWeight.ALL) is None
        assert "8.0 GiB" in (limit.excess(8 * GIB + 1, SlotWeight.ALL) or "")

    def test_without_a_limit_nothing_is_too_much(self) -> None:
        assert MemoryLimit(None, 4).excess(2**60, SlotWeight.ONE) is None

    def test_a_slot_has_its_part_of_the_container_and_of_a_machine_none(self) -> None:
        assert share_of(8 * GIB, 64 * GIB, 4) == 2 * GIB
        assert share_of(2**63, 64 * GIB, 4) is None
        assert share_of(None, 64 * GIB, 4) is None


class TestGauge:
    def test_the_dear_measure_is_taken_only_when_the_cheap_one_is_above_all_before(self) -> None:
        measured: list[int] = []

        def proportional(pid: int) -> int:
            measured.append(pid)
            return 60

        resident = {1: 100}
        gauge = MemoryGauge(resident.__getitem__, proportional)
        assert gauge.measure([1]) == 60
        resident[1] = 50
        gauge.measure([1])
        assert (measured, gauge.peak) == ([1], 60)
        resident[1] = 61
        gauge.measure([1])
        assert measured == [1, 1]

    def test_pages_that_processes_share_are_counted_once(self) -> None:
        block = b"x" * (64 * MIB)
        children = [_waiting_fork() for _ in range(3)]
        try:
            pids = [os.getpid(), *children]
            gauge = MemoryGauge()
            alone = MemoryGauge().measure([os.getpid()])
            together = gauge.measure(pids)
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        assert len(block) < together
        assert together < 3 * len(block) + 4 * alone


class TestKernelKills:
    """Driven by a count and a clock of their own."""

    def kills(self, count: list[int], clock: list[float], *, of_group: bool = True) -> KernelKills:
        return KernelKills(KillCount(lambda: count[0], of_group), lambda: clock[0])

    def test_a_failure_soon_after_a_kill_in_the_group_is_blamed_on_the_kernel(self) -> None:
        count, clock = [7], [0.0]
        kills = self.kills(count, clock)
        assert not kills.ended(None, "ValueError")
        count[0] += 1
        assert kills.ended(None, "ValueError")

    def test_a_failure_long_after_a_kill_is_not(self) -> None:
        count, clock = [0], [0.0]
        kills = self.kills(count, clock)
        count[0] += 1
        kills.look()
        clock[0] = SOON + 1
        assert not kills.ended(None, "ValueError")

    @pytest.mark.parametrize(
        ("end", "words", "blamed"),
        [
            (ChildEnd(None, signal.SIGKILL), "", True),
            (ChildEnd(1, None), "run.sh: line 7: 4711 Killed   gulmc -a0", True),
            (ChildEnd(1, None), "subprocess.CalledProcessError: died with <Signals.SIGKILL: 9>", True),
            (ChildEnd(1, None), "returned non-zero exit status 137", True),
            (ChildEnd(1, None), "ValueError: no footprint for event 9", False),
        ],
    )
    def test_a_kill_anywhere_on_the_machine_counts_only_with_the_marks_of_one(
        self, end: ChildEnd, words: str, *, blamed: bool
    ) -> None:
        count, clock = [0], [0.0]
        kills = self.kills(count, clock, of_group=False)
        count[0] += 1
        assert kills.ended(end, words) is blamed

    def test_a_kill_by_a_person_is_none_of_the_kernel(self) -> None:
        assert was_killed(ChildEnd(None, signal.SIGKILL), "")
        assert not self.kills([3], [0.0]).ended(ChildEnd(None, signal.SIGKILL), "Killed")


class TestGroup:
    """Both versions, as containers show them."""

    def proc(self, path: Path, cgroup: str, mount: str) -> Path:
        (path / "self").mkdir(parents=True)
        (path / "self" / "cgroup").write_text(cgroup)
        (path / "self" / "mountinfo").write_text(mount)
        return path

    def test_version_two(self, tmp_path: Path) -> None:
        group = tmp_path / "cg" / "pod" / "worker"
        group.mkdir(parents=True)
        (group / "memory.max").write_text("max\n")
        (group.parent / "memory.max").write_text(f"{GIB}\n")
        (group / "memory.events").write_text("low 0\noom 2\noom_kill 5\noom_group_kill 0\n")
        line = f"30 23 0:26 / {tmp_path}/cg rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
        found = own_group(self.proc(tmp_path / "proc", "0::/pod/worker\n", line))
        assert found is not None
        assert (found.version, found.limit(), found.oom_kills()) == (2, GIB, 5)

    def test_version_one_seen_from_within_a_container(self, tmp_path: Path) -> None:
        group = tmp_path / "cg"
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(f"{2 * GIB}\n")
        (group / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
        line = f"35 31 0:32 /docker/abc {tmp_path}/cg rw - cgroup cgroup rw,memory\n"
        found = own_group(self.proc(tmp_path / "proc", "4:memory:/docker/abc\n0::/docker/abc\n", line))
        assert found is not None
        assert (found.version, found.limit(), found.oom_kills()) == (1, 2 * GIB, 4)

    def test_where_nothing_can_be_read_nothing_is_known(self, tmp_path: Path) -> None:
        assert own_group(tmp_path) is None


def test_an_attempt_above_its_limit_is_ended_as_out_of_memory_with_figures(
    bench: Bench, controller: Controller
) -> None:
    bench.start(2, OASIS_WORKER_MEMORY_PER_SLOT="200M")
    greedy, modest = bench.grant({"eat": 300, "wait_for": "/never"}), bench.waiting()
    controller.offer(greedy, modest[0])
    report = controller.report_of(greedy)
    assert report.cause is Cause.OUT_OF_MEMORY
    assert "200.0 MiB" in (report.message or "")
    assert "OASIS_WORKER_MEMORY_PER_SLOT" in (report.message or "")
    assert (report.peak_memory or 0) > 300 * MIB
    assert (report.message or "") in bench.text_of(greedy.log_key)
    modest[2].touch()
    assert controller.report_of(modest[0]).cause is None


def test_an_attempt_that_is_alone_on_its_worker_has_the_memory_of_all_slots(
    bench: Bench, controller: Controller
) -> None:
    bench.start(2, OASIS_WORKER_MEMORY_PER_SLOT="200M")
    go_on = bench.flag("go-on")
    grant = bench.grant({"eat": 300, "wait_for": str(go_on)}, weight=SlotWeight.ALL)
    controller.offer(grant)
    began = len(controller.beats)
    wait_for(lambda: len(controller.beats) > began + 8, "some looks at its memory")
    assert controller.reports_of(grant) == []
    go_on.touch()
    assert controller.report_of(grant).cause is None


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group that allows 250 MiB. Needs root, and a hierarchy that may be written to."""
    own = own_group()
    folder = own.folder / f"lossline-test-{uuid4().hex[:8]}" if own else None
    try:
        assert folder is not None
        folder.mkdir()
        name = "memory.limit_in_bytes" if own and own.version == 1 else "memory.max"
        (folder / name).write_text(str(250 * MIB))
    except (OSError, AssertionError):
        pytest.skip("no control group of our own may be made here; containers usually forbid it")
    yield folder
    _remove(folder)


@pytest.mark.parametrize("order", ["eat", "feed"], ids=["the step", "a program of the step"])
def test_a_kill_by_the_kernel_is_told_as_out_of_memory(
    group: Path, bench: Bench, controller: Controller, order: str
) -> None:
    # The group comes first, so that it is removed last, when no worker is left in it.
    bench.start(2, "grouped_worker", CONTROL_GROUP=str(group), OASIS_WORKER_MEMORY_PER_SLOT="0")
    grant = bench.grant({order: 400})
    controller.offer(grant)
    report = controller.report_of(grant)
    assert report.cause is Cause.OUT_OF_MEMORY
    assert "the kernel has killed" in (report.message or "")
    assert "250.0 MiB" in (report.message or "")


def _waiting_fork() -> int:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    return pid


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            folder.rmdir()
        except OSError:
            assert time.monotonic() < deadline, "processes are left in the control group"
            time.sleep(0.05)
        else:
            return
