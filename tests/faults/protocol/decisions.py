"""The bridge to the rules that the services run: every decision of the model is shared.core's `decide` and `evolve`.

Both are pure, so each question is asked once and its answer remembered; a run's facts are held under a number.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from shared.core.decide import decide
from shared.core.evolve import evolve
from shared.core.facts import (
    AnalysisMoved,
    AttemptFacts,
    Decision,
    Event,
    Facts,
    Instruction,
    PublishTokens,
    RunFacts,
    StageQueued,
    SubTaskFacts,
    WaitingCancelled,
)
from shared.core.states import (
    ANALYSIS,
    RUN,
    AnalysisEvent,
    AttemptState,
    RunEvent,
    RunState,
    SubTaskState,
    allows,
    move,
)
from tests.faults.protocol.rules import Setup
from tests.faults.protocol.state import ATTEMPTS_OF_ONE, Attempt, Message, State, SubTask, with_one


class Outcome(NamedTuple):
    """What a decision does to the rows."""

    run: int
    sub_task: SubTask | None
    attempt: AttemptState | None
    queued: tuple[int, ...]
    waiting_cancelled: bool
    events: tuple[AnalysisEvent, ...]
    postings: tuple[Message, ...]
    refusal: str | None


class Decisions:
    """Asks `decide` on behalf of one world."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._runs: list[RunFacts] = []
        self._numbers: dict[RunFacts, int] = {}
        self._known: dict[tuple[object, ...], Outcome] = {}

    def first_state(self) -> State:
        """The API has committed the request: the run's row and StartRun in the outbox."""
        run = self.number(RunFacts(1, "uuid", 1, RunState.REQUESTED, 4))
        return State(run, faults=self.setup.faults)

    def number(self, facts: RunFacts) -> int:
        """The number that stands for the facts."""
        if facts not in self._numbers:
            self._numbers[facts] = len(self._runs)
            self._runs.append(facts)
        return self._numbers[facts]

    def facts(self, number: int) -> RunFacts:
        """The run's header and its counters."""
        return self._runs[number]

    def state_of(self, state: State) -> RunState:
        """The state of the run's row."""
        return self._runs[state.run].state

    def planned(self, state: State) -> State:
        """services/task_controller/planning.py:plan, without what only clients see: all sub-tasks, PENDING."""
        run = self.number(replace(self._runs[state.run], stages=self.setup.plan))
        sub_tasks = tuple(SubTask(stage.position) for stage in self.setup.plan for _ in range(stage.size))
        return state._replace(run=run, sub_tasks=sub_tasks)

    def cancelled(self, state: State) -> State:
        """shared/database/requests.py:cancel_run: the row is the cancel, the message only wakes."""
        facts = self._runs[state.run]
        if allows(RUN, facts.state, RunEvent.CANCEL_REQUESTED):
            facts = replace(facts, state=move(RUN, facts.state, RunEvent.CANCEL_REQUESTED))
        status = move(ANALYSIS, state.status, AnalysisEvent.CANCELLED)
        outbox = with_one(state.outbox, ("cancel",))
        return state._replace(run=self.number(facts), status=status, cancelled=True, outbox=outbox)

    def apply(
        self, state: State, event: Event, index: int | None = None, row: Attempt | None = None, run: int | None = None
    ) -> tuple[State, str | None]:
        """shared/database/working_set.py:WorkingSet.decide and its flush. `run`: facts that were read before the lock.

        Returns the state after it, and the refusal.
        """
        sub_task = state.sub_tasks[index] if index is not None else None
        asked = state.run if run is None else run
        outcome = self._asked(asked, index, sub_task, row, event)
        run = outcome.run if outcome.run != asked else state.run
        state = state._replace(run=run, sub_tasks=_moved(state, index, outcome))
        if row is not None and outcome.attempt is not None:
            state = state.with_row(row._replace(state=outcome.attempt))
        for each in outcome.events:
            if allows(ANALYSIS, state.status, each):
                state = state._replace(status=move(ANALYSIS, state.status, each))
        for posting in outcome.postings:
            state = posted(state, posting)
        return state, outcome.refusal

    def granted_regardless(self, state: State, event: Event, index: int) -> State:
        """A grant on a run that is taken for active, whatever it is: what a rule that is kept makes impossible."""
        facts = self._runs[state.run]
        active = self.number(replace(facts, state=RunState.ACTIVE))
        after, _ = self.apply(state, event, index, run=active)
        return after._replace(run=self.number(replace(self._runs[after.run], state=facts.state)))

    def _asked(
        self, run: int, index: int | None, sub_task: SubTask | None, row: Attempt | None, event: Event
    ) -> Outcome:
        key = (run, index, sub_task, row and (row.attempt, row.state), event)
        if key not in self._known:
            self._known[key] = self._decided(run, index, sub_task, row, event)
        return self._known[key]

    def _decided(
        self, run: int, index: int | None, sub_task: SubTask | None, row: Attempt | None, event: Event
    ) -> Outcome:
        facts = Facts(
            self._runs[run],
            _sub_task_facts(index, sub_task, self._compared(row)) if sub_task is not None else None,
            AttemptFacts(UUID(int=row.attempt), row.state) if row is not None else None,
        )
        decision = decide(facts, event, self.setup.policy)
        return self._outcome(sub_task, facts, decision)

    def _compared(self, row: Attempt | None) -> Callable[[int], int]:
        """The newest attempt as the decision is told of it: the truth, unless the world breaks that rule."""
        if self.setup.rules.compares_attempts or row is None:
            return lambda newest: newest
        return lambda _: row.attempt

    def _outcome(self, sub_task: SubTask | None, facts: Facts, decision: Decision) -> Outcome:
        after = evolve(facts, decision.changes)
        completes = facts.attempt != after.attempt and after.attempt is not None
        accepted = completes and after.attempt is not None and after.attempt.state == AttemptState.COMPLETED
        return Outcome(
            run=self.number(after.run),
            sub_task=_sub_task_after(sub_task, after.sub_task, accepted),
            attempt=after.attempt.state if after.attempt is not None else None,
            queued=tuple(each.stage for each in decision.changes if isinstance(each, StageQueued)),
            waiting_cancelled=any(isinstance(each, WaitingCancelled) for each in decision.changes),
            events=tuple(each.event for each in decision.changes if isinstance(each, AnalysisMoved)),
            postings=tuple(_posting(each) for each in decision.instructions),
            refusal=decision.refusal,
        )


def posted(state: State, posting: Message) -> State:
    """With a row in the outbox. Rows of tokens are added up, as the relay would publish them one after the other."""
    if posting[0] != "token":
        return state._replace(outbox=with_one(state.outbox, posting))
    waiting = tokens_in(state.outbox)
    others = tuple(each for each in state.outbox if each[0] != "token")
    return state._replace(outbox=with_one(others, ("token", waiting + posting[1])))


def with_token_less(state: State) -> State:
    """shared/database/flush.py:Flush.take_back_token, for a transaction that posts one."""
    waiting = tokens_in(state.outbox) - 1
    others = tuple(each for each in state.outbox if each[0] != "token")
    return state._replace(outbox=with_one(others, ("token", waiting)) if waiting else others)


def tokens_in(outbox: tuple[Message, ...]) -> int:
    """Tokens that the relay has still to publish."""
    return sum(each[1] for each in outbox if each[0] == "token")


def _posting(instruction: Instruction) -> Message:
    return ("token", instruction.count) if isinstance(instruction, PublishTokens) else ("stop",)


def _sub_task_facts(index: int | None, row: SubTask, newest: Callable[[int], int]) -> SubTaskFacts:
    attempt = newest(row.newest)
    return SubTaskFacts(
        sub_task_id=index or 0,
        stage=row.stage,
        state=row.state,
        attempt_id=UUID(int=attempt) if attempt else None,
        fence=row.newest % ATTEMPTS_OF_ONE,
        weight=row.weight,
        ended=dict(row.ended),
    )


def _sub_task_after(before: SubTask | None, after: SubTaskFacts | None, accepted: bool) -> SubTask | None:
    if before is None or after is None:
        return before
    granted = after.state == SubTaskState.STARTED and before.state != SubTaskState.STARTED
    return before._replace(
        state=after.state,
        newest=after.attempt_id.int if granted and after.attempt_id is not None else before.newest,
        weight=after.weight,
        ended=tuple(sorted(after.ended.items())),
        accepted=before.accepted + accepted,
    )


def _moved(state: State, index: int | None, outcome: Outcome) -> tuple[SubTask, ...]:
    """The rows after the one that is concerned has moved, and those that one statement moves together."""
    rows = list(state.sub_tasks)
    if index is not None and outcome.sub_task is not None:
        rows[index] = outcome.sub_task
    for at, row in enumerate(rows):
        if row.stage in outcome.queued and row.state == SubTaskState.PENDING:
            rows[at] = row._replace(state=SubTaskState.QUEUED)
        if outcome.waiting_cancelled and row.state in (SubTaskState.PENDING, SubTaskState.QUEUED):
            rows[at] = row._replace(state=SubTaskState.CANCELLED)
    return tuple(rows)
