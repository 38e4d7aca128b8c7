"""What must hold in every state, whatever went wrong before it."""

from collections import Counter

from shared.core.states import (
    ENDED_SUB_TASKS,
    AnalysisStatus,
    AttemptState,
    RunState,
    SubTaskState,
)
from tests.faults.protocol.decisions import Decisions
from tests.faults.protocol.state import DEAD, State, sub_task_of
from tests.faults.protocol.stories import attempt_name

_ENDED = frozenset({RunState.COMPLETED, RunState.CANCELLED, RunState.FAILED})
_STATUS = {
    RunState.COMPLETED: AnalysisStatus.RUN_COMPLETED,
    RunState.CANCELLED: AnalysisStatus.RUN_CANCELLED,
    RunState.FAILED: AnalysisStatus.RUN_ERROR,
}


class Invariants:
    """Checks states of one world; `broken` says what does not hold."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._counted: dict[tuple[int, tuple[SubTaskState, ...]], str | None] = {}

    def broken(self, state: State) -> str | None:
        """The first promise that this state breaks, or None."""
        return (
            self._counters(state)
            or _attempts(state)
            or _results(state)
            or _workers(state, self._decisions.setup.slots)
            or _cancel(state, self._decisions.state_of(state))
            or ("an attempt was given up though its worker is there and holds it" if state.robbed else None)
        )

    def unfinished(self, state: State) -> str | None:
        """Why this is not the right end of a world in which nothing goes wrong any more, or None."""
        run = self._decisions.state_of(state)
        right = RunState.CANCELLED if state.cancelled else RunState.COMPLETED
        if run == RunState.FAILED and not state.cancelled:
            return None if self._has_failed(state) else "the run has failed without a sub-task that has"
        if run != right:
            return f"the run is {run}, not {right}"
        if state.status != _STATUS[run]:
            return f"the analysis is {state.status} at the end of a run that is {run}"
        if any(worker.has_work for worker in state.workers):
            return "a worker holds an attempt for ever"
        return None

    def _has_failed(self, state: State) -> bool:
        """Whether a sub-task is ERROR whose tries are really used up."""
        policy = self._decisions.setup.policy
        errors = [row for row in state.sub_tasks if row.state == SubTaskState.ERROR]
        return any(not policy.has_tries_left(cause, dict(row.ended)) for row in errors for cause, _ in row.ended)

    def _counters(self, state: State) -> str | None:
        """Counters add up to the sub-tasks; a run has ended exactly when they all have."""
        key = (state.run, tuple(row.state for row in state.sub_tasks))
        if key not in self._counted:
            self._counted[key] = self._count(state)
        return self._counted[key]

    def _count(self, state: State) -> str | None:
        facts = self._decisions.facts(state.run)
        rows = Counter((row.stage, row.state) for row in state.sub_tasks)
        for stage in facts.stages:
            counters = {each: getattr(stage, each.lower()) for each in SubTaskState}
            if counters != {each: rows[stage.position, each] for each in SubTaskState}:
                return f"the counters of stage {stage.position} do not add up to its sub-tasks"
        ended = all(row.state in ENDED_SUB_TASKS for row in state.sub_tasks)
        if state.sub_tasks and ended != (facts.state in _ENDED):
            return f"the run is {facts.state}, its sub-tasks {[str(row.state) for row in state.sub_tasks]}"
        return None


def _attempts(state: State) -> str | None:
    """At most one attempt of a sub-task is current, it is the newest; a claim has one; none is behind a cancel."""
    live = [row for row in state.attempts if row.is_live]
    started = {at for at, row in enumerate(state.sub_tasks) if row.state == SubTaskState.STARTED}
    if started != {sub_task_of(row.attempt) for row in live} or len(started) != len(live):
        return "the live attempts are not those of the started sub-tasks, one each"
    for row in live:
        if state.sub_tasks[sub_task_of(row.attempt)].newest != row.attempt:
            return f"{attempt_name(row.attempt)} is current but not the newest"
    claims = Counter(row.claim for row in live if row.claim)
    if claims and max(claims.values()) > 1:
        return "one claim has two grants that live"
    if any(row.behind for row in state.attempts):
        return "an attempt was granted behind a committed cancel"
    return None


def _results(state: State) -> str | None:
    """The effect of a sub-task happens at most once, and is that of its newest attempt."""
    for at, row in enumerate(state.sub_tasks):
        if row.accepted != (row.state == SubTaskState.COMPLETED):
            return f"sub-task {at} is {row.state} and {row.accepted} results of it were accepted"
    for attempt in state.attempts:
        newest = state.sub_tasks[sub_task_of(attempt.attempt)].newest
        if attempt.state == AttemptState.COMPLETED and newest != attempt.attempt:
            return f"the result of {attempt_name(attempt.attempt)} was accepted after a newer grant"
    return None


def _workers(state: State, slots: int) -> str | None:
    """A worker never has more than its slots, and forgets an attempt only once its end is committed."""
    for number, worker in enumerate(state.workers):
        if len(worker.running) > slots:
            return f"worker {number} executes {len(worker.running)} attempts in {slots} slots"
    for row in state.attempts:
        forgotten = row.state == AttemptState.RUNNING and row.worker != DEAD
        if forgotten and not state.workers[row.worker].holds(row.attempt):
            return f"worker {row.worker} has forgotten {attempt_name(row.attempt)}, whose end nobody has committed"
    return None


def _cancel(state: State, run: RunState) -> str | None:
    """A cancelled run is CANCELLING or CANCELLED, its analysis CANCELLED for clients; nothing takes that back."""
    if not state.cancelled:
        return None
    if run not in (RunState.CANCELLING, RunState.CANCELLED, RunState.FAILING, RunState.FAILED):
        return f"the run was cancelled and is {run}"
    return None if state.status == AnalysisStatus.RUN_CANCELLED else f"the analysis was cancelled and is {state.status}"
