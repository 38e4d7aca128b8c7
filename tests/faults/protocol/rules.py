"""The rules of the protocol that the model can break on purpose, and the small worlds that it explores."""

from dataclasses import dataclass, field
from enum import Enum

from shared.core.facts import StageFacts
from shared.core.plan import Phase
from shared.core.retries import Cause, RetryPolicy

QUEUE = "model"


class When(Enum):
    """How often something is done that may be done. Workers of two versions do it SOMETIMES."""

    ALWAYS = "always"
    SOMETIMES = "sometimes"
    NEVER = "never"


@dataclass(frozen=True)
class Rules:
    """The rules of DESIGN.md section 3 that are the shell's; all of them hold in Lossline. The rest is `decide`."""

    compares_attempts: bool = True
    """A result is held against the sub-task's newest attempt."""
    claim_in_lock: bool = True
    """What a claim has found is looked at again under the run's lock."""
    report_in_lock: bool = True
    """The counters that a report is decided on are read under the run's lock."""
    remembers_claims: bool = True
    """The same claim asked again gets the same grant."""
    replies_after_commit: bool = True
    """A worker hears of its report only what has been committed."""
    acks_token_after_answer: bool = True
    """A token goes back to its queue when its worker dies before the answer."""
    repeats_finished: bool = True
    """A finished attempt stays in the heartbeat until it is answered."""
    waits_for_slot: bool = True
    """A worker has a consumer only while a slot is free."""
    tops_up: bool = True
    """The reconciler replaces tokens that are missing."""
    ends_stopping: bool = True
    """The reconciler looks at runs that are to be stopped, whoever has told the workers or not."""
    sends_canary: bool = True
    """The reaper believes a silence only while its own canary comes back."""


@dataclass(frozen=True)
class Setup:
    """A world: its plan, its workers, how much may go wrong in it, and which rules are kept."""

    plan: tuple[StageFacts, ...]
    slots: int = 1
    faults: int = 1
    cancels: bool = True
    watches: bool = False
    """Whether the reaper is modelled look by look, with its canary. Else it gives up whatever has really gone silent,
    and giving up anything else is a fault."""
    prompt: bool = True
    """Whether heartbeats are taken, and answers that are no grants heard, at once unless a fault delays them.

    Where the reaper watches, heartbeats queue up with its canaries all the same."""
    lossy: bool = True
    """Whether the broker may lose, double and delay messages, or processes only die and err."""
    claims_with_reports: When = When.ALWAYS
    """Whether workers claim without a token in the message of a report, where they may."""
    eager: bool = False
    """Whether the reconciler tops up without counting the tokens that workers have in hand."""
    rules: Rules = field(default_factory=Rules)
    policy: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(
            retries={Cause.MODEL_ERROR: 0, Cause.LOST: 5, Cause.STORAGE: 1, Cause.OUT_OF_MEMORY: 1}
        )
    )


def stages(*sizes: int, cleanup: bool = True) -> tuple[StageFacts, ...]:
    """The stages of a loss run: chunks in these numbers, the recording, and the clean-up, which is optional."""
    steps = [(f"generate-losses-chunk-{at}", size, False) for at, size in enumerate(sizes)]
    steps += [("record-losses-files", 1, False)]
    steps += [("cleanup-losses-generation", 1, True)] if cleanup else []
    return tuple(
        StageFacts(at, step, Phase.LOSSES, QUEUE, size, size > 1, optional, pending=size)
        for at, (step, size, optional) in enumerate(steps)
    )
