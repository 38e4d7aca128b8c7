"""What users do while the platform is being broken: each in a thread of its own, with a script."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from services.embedded.client import ApiRefused
from tests.faults.platform.analyses import Submitted, Work, submit
from tests.faults.platform.platform import BrokenPlatform, wait
from tests.faults.platform.promise import Expected
from tests.faults.platform.undisturbed import COMPLETED, Undisturbed

PATIENCE = 180.0
"""Seconds that a run may take, faults and all."""


@dataclass(frozen=True)
class User:
    """Does `script` with an analysis of this size, `after` so many seconds."""

    script: str
    work: Work
    after: float


def straight(user: User, platform: BrokenPlatform) -> Submitted:
    """Generate inputs and losses in one run."""
    analysis = submit(platform, user.work)
    wait(analysis.has_ended, "the end of a run", within=PATIENCE)
    return analysis


def in_two_runs(user: User, platform: BrokenPlatform) -> Submitted:
    """Generate the inputs, then the losses."""
    analysis = submit(platform, user.work, "generate_inputs")
    wait(analysis.has_ended, "the inputs", within=PATIENCE)
    analysis.ask("run")
    wait(analysis.has_ended, "the losses", within=PATIENCE)
    return analysis


def cancelled(user: User, platform: BrokenPlatform) -> Submitted:
    """Cancel a run; one that has ended before that is left alone."""
    analysis = submit(platform, user.work)
    time.sleep(user.after)
    _cancel(analysis)
    wait(analysis.has_ended, "the confirmation of a cancel", within=PATIENCE)
    return analysis


def _cancel(analysis: Submitted) -> None:
    """CANCELLED in the answer itself, or refused because it was too late."""
    try:
        answer = analysis.ask("cancel")
    except ApiRefused as error:
        if error.status != 400 or analysis.status() != COMPLETED:
            raise
    else:
        assert answer.endswith("_CANCELLED"), answer


def resumed(user: User, platform: BrokenPlatform) -> Submitted:
    """Cancel a run, and go on from what it had completed."""
    analysis = cancelled(user, platform)
    if analysis.status() != COMPLETED:
        analysis.ask("resume")
        wait(analysis.has_ended, "the end of a resumed run", within=PATIENCE)
    return analysis


def run_again(user: User, platform: BrokenPlatform) -> Submitted:
    """Cancel a run and begin again at once, while the old one may still be stopping."""
    analysis = submit(platform, user.work)
    time.sleep(user.after)
    _cancel(analysis)
    analysis.ask("generate_and_run")
    wait(analysis.has_ended, "the end of the second run", within=PATIENCE)
    return analysis


SCRIPTS: Mapping[str, Callable[[User, BrokenPlatform], Submitted]] = {
    "straight": straight,
    "in two runs": in_two_runs,
    "cancelled": cancelled,
    "resumed": resumed,
    "run again": run_again,
}


def start(users: tuple[User, ...], platform: BrokenPlatform, pool: ThreadPoolExecutor) -> list[Future[Submitted]]:
    """Let all begin."""
    return [pool.submit(SCRIPTS[user.script], user, platform) for user in users]


def expected(user: User, analysis: Submitted, undisturbed: Undisturbed) -> Expected:
    """What must have come of it: what was not cancelled for good has completed."""
    status = analysis.status()
    if user.script == "cancelled" and status.endswith("_CANCELLED"):
        return Expected(analysis, status)
    return undisturbed.completed(analysis)
