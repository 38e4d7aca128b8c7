"""Steps that misbehave: they print without end, close their output, end without a result, or complain at length."""

from pathlib import Path

import psutil
import pytest

from services.model_worker.log_limits import BoundedLog, shortened
from shared.core.retries import Cause
from shared.messages.catalogue import StopRun
from tests.model_worker.bench import Bench
from tests.model_worker.controller import Controller
from tests.model_worker.waiting import wait_for

MIB = 1024**2


class TestBoundedLog:
    def lines(self, path: Path, count: int, limit: int | None) -> bytes:
        log = BoundedLog(path, limit)
        for number in range(count):
            log.write(f"line {number:04d}".encode())  # ten bytes with its end
            assert sum(each.stat().st_size for each in path.parent.iterdir()) <= (limit or 10**9) + 10
        log.close()
        assert path.stat().st_size == log.size
        assert list(path.parent.iterdir()) == [path]
        return path.read_bytes()

    @pytest.mark.parametrize(("count", "limit"), [(100, None), (40, 400), (100, 1000), (3, 400)])
    def test_what_fits_is_kept_whole(self, tmp_path: Path, count: int, limit: int | None) -> None:
        whole = "".join(f"line {number:04d}\n" for number in range(count)).encode()
        assert self.lines(tmp_path / "log.txt", count, limit) == whole

    @pytest.mark.parametrize("count", [43, 60, 61, 1000])
    def test_of_more_the_middle_is_left_out_and_the_log_says_how_much(self, tmp_path: Path, count: int) -> None:
        kept = self.lines(tmp_path / "log.txt", count, 400).decode()
        head, _, rest = kept.partition("\n[… ")
        left_out, _, tail = rest.partition(" bytes of this log were left out …]\n")
        assert head == "".join(f"line {number:04d}\n" for number in range(20))
        assert tail.endswith(f"line {count - 1:04d}\n")
        assert 100 <= len(tail) <= 200
        assert len(head) + int(left_out) + len(tail) == 10 * count

    def test_what_is_at_the_path_only_grows(self, tmp_path: Path) -> None:
        path = tmp_path / "log.txt"
        log = BoundedLog(path, 400)
        seen = b""
        for number in range(100):
            log.write(f"line {number:04d}".encode())
            now = path.read_bytes()
            assert now.startswith(seen)
            seen = now
        log.close()
        assert path.read_bytes().startswith(seen)


def test_of_a_long_message_the_end_is_kept_above_all() -> None:
    text = shortened("Traceback" + "x" * 1_000_000 + "ModelBroke: no footprint")
    assert len(text) < 70_000
    assert text.startswith("Traceback")
    assert text.endswith("ModelBroke: no footprint")


def test_a_step_that_prints_without_end_fills_neither_disk_nor_memory(bench: Bench, controller: Controller) -> None:
    worker = bench.start(1, OASIS_WORKER_LOG_LIMIT="1M")
    runs, go_on = bench.flag("runs"), bench.flag("go-on")
    grant = bench.grant({"say": ["first"], "flood": 30, "touch": str(runs), "wait_for": str(go_on)})
    wait_for(lambda: controller.beats, "the first heartbeat")
    before = psutil.Process(worker.process.pid).memory_info().rss
    controller.offer(grant)
    wait_for(runs.exists, "the end of the flood", 120)
    assert psutil.Process(worker.process.pid).memory_info().rss - before < 20 * MIB
    assert sum(path.stat().st_size for path in bench.place.rglob("log*")) <= MIB
    go_on.touch()
    assert controller.report_of(grant).cause is None
    log = bench.text_of(grant.log_key)
    assert len(log.encode()) < MIB + 100
    assert log.startswith("first\n000000000")
    assert "bytes of this log were left out" in log
    assert log.endswith(f"{30 * MIB // 100 - 1:09d}{'x' * 90}\n")


def test_a_step_that_closes_its_output_is_watched_to_its_end(bench: Bench, controller: Controller) -> None:
    bench.start(1)
    grant, runs, go_on = bench.waiting(orders={"say": ["last words"], "close_output": True})
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    assert [held.attempt_id for held in controller.next_beat().running] == [grant.attempt_id]
    assert controller.reports_of(grant) == []
    go_on.touch()
    assert controller.report_of(grant).cause is None
    assert bench.text_of(grant.log_key) == "last words\n"


def test_a_step_that_has_closed_its_output_can_be_stopped(bench: Bench, controller: Controller) -> None:
    bench.start(1)
    grant, runs, _ = bench.waiting(orders={"close_output": True, "deaf": True})
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    controller.tell_all(StopRun(grant.run_uuid))
    assert controller.report_of(grant).cause is Cause.CANCELLED


@pytest.mark.parametrize("status", [0, 3])
def test_a_step_that_ends_without_a_result_is_an_error_of_the_model(
    bench: Bench, controller: Controller, status: int
) -> None:
    bench.start(1)
    grant = bench.grant({"say": ["before"], "exit": status})
    controller.offer(grant)
    report = controller.report_of(grant)
    assert (report.cause, report.exit_status) == (Cause.MODEL_ERROR, status)
    assert f"exit status {status} and wrote no result" in (report.message or "")


def test_a_step_that_complains_at_length_is_told_shortly(bench: Bench, controller: Controller) -> None:
    bench.start(1)
    grant = bench.grant({"fail_at_length": 3_000_000})
    controller.offer(grant)
    report = controller.report_of(grant)
    assert report.cause is Cause.MODEL_ERROR
    assert len(report.message or "") < 70_000
    assert (report.message or "").rstrip().endswith("the end")
