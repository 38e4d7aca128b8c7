"""Worlds in which one rule is broken on purpose, and the promise that must be seen to break. The model's own test."""

from dataclasses import dataclass

from tests.faults.protocol.rules import Rules, Setup, When, stages

_ONE = stages(cleanup=False)
_TWO = stages(2, cleanup=False)


@dataclass(frozen=True)
class Broken:
    """What is broken, where that shows soonest, and words of the promise that goes with it."""

    name: str
    setup: Setup
    promise: str


BROKEN = (
    Broken(
        "the token is acknowledged before the answer, and nobody tops up",
        Setup(_ONE, cancels=False, lossy=False, rules=Rules(acks_token_after_answer=False, tops_up=False)),
        "the run is ACTIVE, not COMPLETED",
    ),
    Broken(
        "nobody tops up",
        Setup(_ONE, cancels=False, rules=Rules(tops_up=False)),
        "the run is ACTIVE, not COMPLETED",
    ),
    Broken(
        "a result is accepted whichever attempt it is of",
        Setup(_ONE, cancels=False, rules=Rules(compares_attempts=False)),
        "the live attempts are not those of the started sub-tasks",
    ),
    Broken(
        "the reaper has no canary",
        Setup(_ONE, faults=0, cancels=False, watches=True, prompt=False, rules=Rules(sends_canary=False)),
        "an attempt was given up though its worker is there and holds it",
    ),
    Broken(
        "a claim takes no part in the run's lock",
        Setup(_ONE, faults=0, rules=Rules(claim_in_lock=False)),
        "an attempt was granted behind a committed cancel",
    ),
    Broken(
        "reports are decided on counters that were read before the lock",
        Setup(_TWO, faults=0, cancels=False, claims_with_reports=When.SOMETIMES, rules=Rules(report_in_lock=False)),
        "a decision cannot be taken: stage 0 has no 1 sub-tasks that are STARTED",
    ),
    Broken(
        "a finished attempt is not repeated in the heartbeat",
        Setup(_ONE, cancels=False, rules=Rules(repeats_finished=False)),
        "a worker holds an attempt for ever",
    ),
    Broken(
        "a worker is answered before the commit",
        Setup(_ONE, cancels=False, rules=Rules(replies_after_commit=False)),
        "whose end nobody has committed",
    ),
    Broken(
        "a claim that is asked again gets another grant",
        Setup(_TWO, cancels=False, rules=Rules(remembers_claims=False)),
        "one claim has two grants that live",
    ),
    Broken(
        "a worker takes tokens while no slot is free",
        Setup(_TWO, faults=0, cancels=False, rules=Rules(waits_for_slot=False)),
        "executes 2 attempts in 1 slots",
    ),
    Broken(
        "nobody looks at runs that are to be stopped",
        Setup(_ONE, rules=Rules(ends_stopping=False)),
        "the run is CANCELLING, not CANCELLED",
    ),
)
