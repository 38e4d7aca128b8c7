"""python -m benchmarks.recovery: how long runs take to recover from faults, measured in one go.

Every service is a process of its own, with the settings that it has by default. See docs/reliability.md.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from shared.database.execution import Attempt
from tests.faults import records
from tests.faults.platform.analyses import Submitted, Work, submit
from tests.faults.platform.launching import Options
from tests.faults.platform.platform import BrokenPlatform, broken_platform, wait
from tests.faults.platform.promise import processes_of_attempts

CHUNK = "generate-losses-chunk"
SLOTS = 4
LENGTH = 5.0
"""Of a chunk, in seconds: longer than it takes until heartbeats have listed all."""
CHUNKS = Work(loss_chunks=8, seconds=(("prepare-keys-file", 0.1), (CHUNK, LENGTH)))
DEFAULTS = Options(slots=SLOTS, lease=10.0, reconcile_every=3.0, stop_grace=5.0, drain_for=30.0)
_PATIENCE = 120.0


@dataclass(frozen=True)
class Row:
    """One measurement. `seconds` until what `what` says; `again`: sub-tasks that were computed again."""

    fault: str
    what: str
    seconds: float
    target: str
    again: int


@dataclass(frozen=True)
class Underway:
    """A run of eight chunks, all of which compute."""

    platform: BrokenPlatform
    analysis: Submitted

    def granted_since(self, moment: object) -> int:
        """Attempts of the run that were granted after a moment of the database's clock."""
        query = select(func.count()).select_from(Attempt).where(Attempt.run_id == self.analysis.run_id())
        with self.platform.engine.connect() as connection:
            return int(connection.scalar(query.where(Attempt.granted_at > moment)) or 0)

    def progress(self) -> int:
        """How many attempts of the run have been settled."""
        query = select(func.count()).select_from(Attempt).where(Attempt.run_id == self.analysis.run_id())
        with self.platform.engine.connect() as connection:
            return int(connection.scalar(query.where(Attempt.state == "completed")) or 0)

    def wait_near_the_end(self) -> None:
        """Until the chunks are about to end, so that it is not their length that is measured."""
        began = max(each.at for each in records.running(self.platform.records(), self.analysis.run_uuid()))
        time.sleep(max(0.0, began + LENGTH - 0.5 - time.monotonic()))

    def again(self) -> int:
        """Sub-tasks that were executed more than once."""
        counts: Counter[str] = records.executions(self.platform.records(), self.analysis.run_uuid())
        return sum(count > 1 for count in counts.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument("--out", type=Path, help="where to write the results as JSON")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    load = os.getloadavg()[0]
    with broken_platform(DEFAULTS) as platform:
        rows = [measure(platform) for measure in MEASUREMENTS]
    _show(rows, load)
    if options.out:
        told = {"cores": len(os.sched_getaffinity(0)), "load_before": load, "rows": [asdict(row) for row in rows]}
        options.out.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


def _underway(platform: BrokenPlatform) -> Underway:
    platform.wait_ready()
    analysis = submit(platform, CHUNKS)
    running = Underway(platform, analysis)
    wait(lambda: len(_listed(running)) == CHUNKS.loss_chunks, "chunks that all compute", within=_PATIENCE)
    return running


def _listed(running: Underway) -> list[object]:
    """Attempts that a heartbeat has listed: one that nobody has heard of costs nothing when it is lost."""
    query = select(Attempt.attempt_id).where(Attempt.run_id == running.analysis.run_id(), Attempt.state == "running")
    with running.platform.engine.connect() as connection:
        return list(connection.scalars(query))


def _seconds_until(reached: Callable[[], object], what: str) -> float:
    began = time.monotonic()
    wait(reached, what, within=_PATIENCE)
    return time.monotonic() - began


def _finish(running: Underway, fault: str, what: str, seconds: float, target: str) -> Row:
    wait(running.analysis.has_ended, "the end of the run", within=_PATIENCE)
    _say(f"{fault}: {seconds:.1f} s")
    return Row(fault, what, round(seconds, 2), target, running.again())


def _kill_worker(platform: BrokenPlatform, reported: bool) -> Row:
    running = _underway(platform)
    platform.reports_deaths = reported
    with platform.engine.connect() as connection:
        now = connection.scalar(select(func.now()))
    platform.kill("worker-1")
    seconds = _seconds_until(lambda: running.granted_since(now), "a chunk that is granted again")
    platform.reports_deaths = True
    said = "worker killed in a chunk, its death reported" if reported else "worker killed in a chunk, unreported"
    return _finish(running, said, "its first chunk is granted again", seconds, "1 s" if reported else "the lease, 10 s")


def killed_and_reported(platform: BrokenPlatform) -> Row:
    """From the SIGKILL of a worker to the next grant of one of its chunks."""
    return _kill_worker(platform, reported=True)


def killed_unreported(platform: BrokenPlatform) -> Row:
    """The same, when only the silence tells."""
    return _kill_worker(platform, reported=False)


def _resumes(platform: BrokenPlatform, fault: str, break_and_mend: Callable[[], None], target: str) -> Row:
    """From the moment when the part is back to the first attempt that is settled."""
    running = _underway(platform)
    running.wait_near_the_end()
    break_and_mend()
    settled = running.progress()
    seconds = _seconds_until(lambda: running.progress() > settled, "a chunk that is settled")
    return _finish(running, fault, "the first chunk is settled after its return", seconds, target)


def broker_restarted(platform: BrokenPlatform) -> Row:
    """RabbitMQ stopped in order and started."""
    return _resumes(platform, "RabbitMQ restarted", platform.broker.restart, "5 s")


def broker_wiped(platform: BrokenPlatform) -> Row:
    """RabbitMQ killed, emptied and started."""

    def wipe() -> None:
        platform.wipe_broker()
        platform.broker.restart()

    return _resumes(platform, "RabbitMQ wiped", wipe, "5 s")


def database_restarted(platform: BrokenPlatform) -> Row:
    """PostgreSQL stopped in order and started."""
    return _resumes(platform, "PostgreSQL restarted", platform.postgres.restart, "5 s")


def controller_killed(platform: BrokenPlatform) -> Row:
    """From the start of the next task controller to the first chunk that is settled."""
    old = platform.tree.pids()["task-controller"]

    def kill() -> None:
        platform.kill("task-controller")
        wait(lambda: platform.tree.pids().get("task-controller", old) != old, "the next task controller")

    return _resumes(platform, "task controller killed", kill, "3 s")


def cancelled(platform: BrokenPlatform) -> Row:
    """From the cancel of a run with eight chunks under way until no process of it is left on any worker."""
    running = _underway(platform)
    began = time.monotonic()
    running.analysis.ask("cancel")
    wait(lambda: not list(processes_of_attempts(platform)), "the end of all processes", within=_PATIENCE)
    return _finish(running, "cancel with 8 chunks running", "no process is left", time.monotonic() - began, "3 s")


MEASUREMENTS = (
    killed_and_reported,
    killed_unreported,
    broker_restarted,
    broker_wiped,
    database_restarted,
    controller_killed,
    cancelled,
)


def _show(rows: Sequence[Row], load: float) -> None:
    table = Table("fault", "until", "s", "target", "computed again", title=f"Recovery (load before: {load:.1f})")
    for row in rows:
        table.add_row(row.fault, row.what, f"{row.seconds:.1f}", row.target, str(row.again))
    Console(width=120).print(table)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
