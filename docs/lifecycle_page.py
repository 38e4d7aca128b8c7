"""The page of states: diagrams of the transition tables, the plan of a run, the budgets of retries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docs.markdown import GENERATED, state_diagram, table
from shared.core.plan import RECORDER_QUEUE, SlotWeight, Stage, plan_run
from shared.core.retries import UNCOUNTED, Cause, RetryPolicy
from shared.core.states import ANALYSIS, ATTEMPT, EXPOSURE, RUN, SUB_TASK, RunKind


@dataclass(frozen=True)
class Machine:
    """A state machine and what a reader should know of it."""

    title: str
    text: str
    transitions: Mapping[tuple[Any, Any], Any]


MACHINES = (
    Machine(
        "Analysis",
        "What clients read. Every change is a compare-and-set on the current run and the status: the API makes it for "
        "*requested* and *cancelled*, the worker monitor for *recorded*, the task controller for the rest.\n"
        "A `generate_and_run` passes through READY while it is alive; events of losses that leave READY belong to it.\n"
        "*Resumed* is a new run that goes on where a failed or cancelled one ended, see [runs](runs.md#resume).",
        ANALYSIS,
    ),
    Machine(
        "Portfolio",
        "A portfolio has three: of its validation, its exposure run and its transformation, each of the newest run of "
        "the kind. The API makes *requested* and *files are missing*, the worker monitor *recorded*, and *failed* if "
        "it records what is wrong with the files; the task controller *failed* where the run has failed.",
        EXPOSURE,
    ),
    Machine(
        "Run",
        "One execution of an analysis, or on a portfolio. CANCELLING and FAILING last until every attempt of the run "
        "has ended, though clients see the analysis CANCELLED, or in ERROR, from the first moment on. One of an "
        "analysis that is FAILED or CANCELLED can be resumed, by a run of its own.",
        RUN,
    ),
    Machine(
        "Sub-task",
        "All sub-tasks of a run are PENDING from its planning on. A QUEUED one accepts a result too: an attempt that "
        "was given up as lost stays acceptable until a newer one is granted.",
        SUB_TASK,
    ),
    Machine(
        "Attempt",
        "One execution of a sub-task by one worker. Being granted lasts until a heartbeat lists the attempt. One that "
        "was given up as lost or undelivered may still complete, as long as it is the newest of its sub-task.",
        ATTEMPT,
    ),
)

_INTRODUCTION = """\
Each diagram is drawn from a table of `shared/core/states.py`; an event that has no arrow out of a state is refused
there with `IllegalTransition`. What an event changes beside the state is decided in `shared/core/decide.py`."""

_PLAN = """\
The stages of a `generate_and_run`; `generate_inputs` is its first half and `generate_losses` its second. The
sub-tasks of a stage become ready together, when those of the stage before are done. From `shared/core/plan.py`."""

_RETRIES = """\
An attempt that ends by one of these causes is followed by another one while the budget lasts; the budgets of
different causes are counted apart. From `shared/core/retries.py`."""


def lifecycle_page() -> str:
    """The whole page."""
    machines = [f"## {each.title}\n\n{each.text}\n\n{state_diagram(each.transitions)}" for each in MACHINES]
    parts = ["# Lifecycle", GENERATED, _INTRODUCTION, *machines, *_plan(), *_retries()]
    return "\n\n".join(parts) + "\n"


def _plan() -> list[str]:
    stages = plan_run(RunKind.GENERATE_AND_RUN, "model queue", 2, 2)
    head = ("stage", "sub-tasks", "half", "queue", "slots", "when it fails for good")
    return ["## The plan of a run", _PLAN, table(head, (_stage_row(stage) for stage in stages)), _HEAVY]


_HEAVY = "With a single loss chunk, that chunk takes all the slots of its worker as well."


def _stage_row(stage: Stage) -> tuple[str, ...]:
    return (
        str(stage.position),
        f"`{stage.step}-{{i}}`, one a chunk" if stage.parallel else f"`{stage.step}`",
        stage.phase.name.lower(),
        f"`{stage.queue}`" if stage.queue == RECORDER_QUEUE else stage.queue,
        "all" if stage.weight == SlotWeight.ALL else "one",
        "nothing else changes" if stage.optional else "the run fails",
    )


def _retries() -> list[str]:
    policy = RetryPolicy()
    rows = ((cause, "not counted" if cause in UNCOUNTED else str(policy.retries[cause])) for cause in Cause)
    delays = (
        f"All together a sub-task gets at most {policy.attempts_at_most} attempts. The next one starts after "
        f"{policy.first_delay:g} s, doubled with each counted end up to {policy.longest_delay:g} s, and shortened at "
        "random by up to a half; after an end that is not counted, and after a first loss, it starts at once."
    )
    return ["## Retries", _RETRIES, table(("cause", "retries"), rows), delays]
