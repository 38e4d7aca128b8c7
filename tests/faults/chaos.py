"""python -m tests.faults.chaos: random schedules of faults against several analyses at once, and the promise checked.

The same seed replays the same schedule. Exit status 0 when every schedule ended well, else 1.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.faults.platform.objects import ObjectsOf, directory, s3
from tests.faults.platform.platform import BrokenPlatform, broken_platform
from tests.faults.platform.promise import check_promise
from tests.faults.platform.schedule import WORKS, Schedule, schedule
from tests.faults.platform.undisturbed import Undisturbed
from tests.faults.platform.users import PATIENCE, expected, start

_SERVERS = shutil.ignore_patterns("postgres", "rabbitmq", "objects*", "run", "cache")


@dataclass(frozen=True)
class Played:
    """What came of a schedule; `trouble` is empty when all was well."""

    schedule: Schedule
    seconds: float
    trouble: str = ""


def play(it: Schedule, platform: BrokenPlatform, undisturbed: Undisturbed) -> None:
    """Let users work while faults happen, mend everything, and check. Raises AssertionError with what is wrong."""
    platform.wait_ready()
    with ThreadPoolExecutor(len(it.users)) as pool:
        running = start(it.users, platform, pool)
        try:
            _break(it, platform)
        finally:
            platform.heal()
        analyses = [each.result(timeout=2 * PATIENCE) for each in running]
    platform.wait_ready()
    wanted = [expected(*each, undisturbed) for each in zip(it.users, analyses, strict=True)]
    check_promise(platform, wanted, within=90)


def _break(it: Schedule, platform: BrokenPlatform) -> None:
    """Inject and heal in order of time; one that takes its time delays those that follow."""
    acts = [(due.at, due.fault.inject) for due in it.faults]
    acts += [(due.at + due.fault.lasts, due.fault.heal) for due in it.faults]
    began = time.monotonic()
    for at, act in sorted(acts, key=lambda each: each[0]):
        time.sleep(max(0.0, began + at - time.monotonic()))
        act(platform)


def play_all(seeds: Sequence[int], keep: Path | None = None, objects_of: ObjectsOf = directory) -> Iterator[Played]:
    """One platform for all; after a failure a new one, for who knows what is left of the old."""
    left = list(seeds)
    while left:
        with ExitStack() as opened:
            platform = opened.enter_context(broken_platform(objects_of=objects_of))
            undisturbed = Undisturbed(platform)
            undisturbed.prepare(*WORKS)
            for played in _until_one_fails(left, platform, undisturbed):
                left.remove(played.schedule.seed)
                if played.trouble and keep:
                    shutil.copytree(platform.layout.home, keep / f"seed-{played.schedule.seed}", ignore=_SERVERS)
                yield played


def _until_one_fails(seeds: Sequence[int], platform: BrokenPlatform, undisturbed: Undisturbed) -> Iterator[Played]:
    for it in map(schedule, list(seeds)):
        began = time.monotonic()
        trouble = ""
        try:
            play(it, platform, undisturbed)
        except Exception as error:  # noqa: BLE001 - whatever it is, this schedule has failed and the others go on
            trouble = f"{type(error).__name__}: {error}"
        yield Played(it, time.monotonic() - began, trouble)
        if trouble:
            return


def main(argv: Sequence[str] | None = None) -> int:
    """Play, print, and say it all in the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule")
    parser.add_argument("--runs", type=int, default=10, help="schedules; each has the next seed")
    parser.add_argument("--keep", type=Path, help="where to keep the logs of the services of what went wrong")
    parser.add_argument("--s3", action="store_true", help="objects on an S3 server instead of in a directory")
    options = parser.parse_args(argv)
    played = []
    seeds = range(options.seed, options.seed + options.runs)
    for each in play_all(seeds, options.keep, s3 if options.s3 else directory):
        played.append(each)
        outcome = "WRONG" if each.trouble else "right"
        _say(f"seed {each.schedule.seed:4d}  {outcome}  {each.seconds:5.1f} s  {each.schedule}")
        if each.trouble:
            _say(each.trouble)
    return _sum_up(played)


def _sum_up(played: Sequence[Played]) -> int:
    wrong = [each.schedule.seed for each in played if each.trouble]
    faults = sum(len(each.schedule.faults) for each in played)
    seconds = sum(each.seconds for each in played)
    right = len(played) - len(wrong)
    _say(f"{len(played)} schedules with {faults} faults in {seconds:.0f} s: {right} right outcomes")
    if wrong:
        _say(f"wrong: seeds {', '.join(map(str, wrong))}")
    return 1 if wrong else 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is what the command is for


if __name__ == "__main__":
    sys.exit(main())
