"""A run in memory: what the shell does with decisions, without a database; and what must hold after every step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from shared.core.decide import decide
from shared.core.evolve import evolve
from shared.core.facts import (
    AnalysisMoved,
    AttemptEnded,
    AttemptFacts,
    Change,
    Decision,
    Event,
    Facts,
    Looked,
    PublishTokens,
    RunFacts,
    RunPlanned,
    StageFacts,
    StageQueued,
    SubTaskFacts,
    WaitingCancelled,
    WorkGranted,
)
from shared.core.plan import Phase, Stage, plan_run
from shared.core.resuming import has_gap, phase_to_resume
from shared.core.retries import Cause, RetryPolicy
from shared.core.states import (
    ANALYSIS,
    ATTEMPT,
    ENDED_SUB_TASKS,
    LIVE_ATTEMPTS,
    RESUMABLE_RUNS,
    RUN,
    AnalysisEvent,
    AnalysisStatus,
    AttemptEvent,
    AttemptState,
    RunEvent,
    RunKind,
    RunState,
    SubTaskState,
    allows,
    move,
)

POLICY = RetryPolicy()
ENDED_RUNS = frozenset({RunState.COMPLETED, RunState.CANCELLED, RunState.FAILED})


@dataclass
class SimulatedRun:
    """A planned run. Sub-tasks are numbered from 0; `accepted` counts results that were taken into account.

    A resumed one goes on `after` a run that has ended, with its completed sub-tasks.
    """

    kind: RunKind
    lookups: int = 1
    losses: int = 1
    after: SimulatedRun | None = None
    run: RunFacts = field(init=False)
    analysis: AnalysisStatus = field(init=False)
    sub_tasks: dict[int, SubTaskFacts] = field(default_factory=dict)
    attempts: dict[UUID, AttemptFacts] = field(default_factory=dict)
    owner: dict[UUID, int] = field(default_factory=dict)
    accepted: Counter[int] = field(default_factory=Counter)
    statuses: list[AnalysisStatus] = field(default_factory=list)

    def __post_init__(self) -> None:
        done = set(self.after.numbers(SubTaskState.COMPLETED)) if self.after else set()
        self.analysis = self.after.status_when_resumed() if self.after else self._status_when_requested()
        plan = plan_run(self.kind, "model", self.lookups, self.losses)
        for stage in plan:
            for _ in range(stage.size):
                number = len(self.sub_tasks)
                state = SubTaskState.COMPLETED if number in done else SubTaskState.PENDING
                self.sub_tasks[number] = SubTaskFacts(number, stage.position, state, weight=stage.weight)
        self.accepted.update(done)
        completed = Counter(self.sub_tasks[number].stage for number in done)
        stages = tuple(_stage_facts(stage, completed[stage.position]) for stage in plan)
        assert not has_gap(stages)
        self.run = RunFacts(1, "uuid", 1, RunState.REQUESTED, 4, stages, resumed=self.after is not None)
        self.apply(RunPlanned())

    def _status_when_requested(self) -> AnalysisStatus:
        losses_only = self.kind == RunKind.GENERATE_LOSSES
        return AnalysisStatus.RUN_QUEUED if losses_only else AnalysisStatus.INPUTS_GENERATION_QUEUED

    def status_when_resumed(self) -> AnalysisStatus:
        """The status of the analysis once this run, which has ended, is resumed."""
        inputs = phase_to_resume(self.kind, self.run.stages) == Phase.INPUTS
        return move(ANALYSIS, self.analysis, AnalysisEvent.INPUTS_RESUMED if inputs else AnalysisEvent.LOSSES_RESUMED)

    # What happens

    def apply(self, event: Event, number: int | None = None, attempt_id: UUID | None = None) -> Decision:
        """Decide on the event, and do what a shell does with the changes."""
        sub_task = self.sub_tasks[number] if number is not None else None
        facts = Facts(self.run, sub_task, self.attempts.get(attempt_id) if attempt_id else None)
        decision = decide(facts, event, POLICY)
        assert all(each.count > 0 for each in decision.instructions if isinstance(each, PublishTokens))
        after = evolve(facts, decision.changes)
        self.run = after.run
        if after.sub_task is not None:
            self.sub_tasks[after.sub_task.sub_task_id] = after.sub_task
        if after.attempt is not None:
            if facts.attempt != after.attempt and after.attempt.state == AttemptState.COMPLETED:
                self.accepted[self.owner[after.attempt.attempt_id]] += 1
            self.attempts[after.attempt.attempt_id] = after.attempt
        for change in decision.changes:
            self._note(change)
        return decision

    def grant(self, number: int) -> UUID | None:
        """Give the sub-task to a worker; the attempt, or None where it is refused."""
        attempt_id = uuid4()
        if self.apply(WorkGranted(attempt_id), number).refusal is not None:
            return None
        self.attempts[attempt_id] = AttemptFacts(attempt_id, AttemptState.GRANTED)
        self.owner[attempt_id] = number
        return attempt_id

    def report(
        self, attempt_id: UUID, cause: Cause | None = None, jitter: float = 0.5, *, began: bool = False
    ) -> Decision:
        """An attempt is said to be over, by its worker or by the reaper, for the first time or again."""
        return self.apply(AttemptEnded(cause, jitter, began=began), self.owner[attempt_id], attempt_id)

    def listed(self, attempt_id: UUID) -> None:
        """A heartbeat lists the attempt."""
        attempt = self.attempts[attempt_id]
        if allows(ATTEMPT, attempt.state, AttemptEvent.LISTED):
            self.attempts[attempt_id] = replace(attempt, state=move(ATTEMPT, attempt.state, AttemptEvent.LISTED))

    def cancel(self) -> None:
        """The API commits the row; nobody has been told yet."""
        goes_on = self.analysis != AnalysisStatus.READY or self.kind == RunKind.GENERATE_AND_RUN
        if goes_on and allows(ANALYSIS, self.analysis, AnalysisEvent.CANCELLED):
            self._move(AnalysisEvent.CANCELLED)
            if allows(RUN, self.run.state, RunEvent.CANCEL_REQUESTED):
                self.run = replace(self.run, state=move(RUN, self.run.state, RunEvent.CANCEL_REQUESTED))

    def look(self) -> None:
        """The reconciler looks."""
        self.apply(Looked())

    # What can be seen

    def numbers(self, state: SubTaskState) -> list[int]:
        """The sub-tasks in a state."""
        return [number for number, each in self.sub_tasks.items() if each.state == state]

    def live(self) -> list[UUID]:
        """The attempts that are granted or running."""
        return [attempt_id for attempt_id, each in self.attempts.items() if each.state in LIVE_ATTEMPTS]

    def live_in(self, step: str) -> list[UUID]:
        """The live attempts of a step."""
        return [a for a in self.live() if self.run.stages[self.sub_tasks[self.owner[a]].stage].step == step]

    @property
    def is_resumable(self) -> bool:
        """Whether the run has ended with something left to do."""
        return self.run.state in RESUMABLE_RUNS and phase_to_resume(self.kind, self.run.stages) is not None

    @property
    def has_ended(self) -> bool:
        """Whether the run is over."""
        return self.run.state in ENDED_RUNS

    def check(self) -> None:
        """What must hold after every step."""
        self._check_counters()
        self._check_attempts()
        terminal = all(each.state in ENDED_SUB_TASKS for each in self.sub_tasks.values())
        assert terminal == self.has_ended, f"{self.run.state}: {self.sub_tasks}"
        if self.run.state == RunState.COMPLETED:
            self._check_outcome()

    def _check_counters(self) -> None:
        counted = Counter((each.stage, each.state) for each in self.sub_tasks.values())
        for stage in self.run.stages:
            counters = {state: getattr(stage, state.lower()) for state in SubTaskState}
            assert sum(counters.values()) == stage.size
            assert counters == {state: counted[stage.position, state] for state in SubTaskState}

    def _check_attempts(self) -> None:
        live = Counter(self.owner[attempt_id] for attempt_id in self.live())
        for number, sub_task in self.sub_tasks.items():
            assert live[number] == (sub_task.state == SubTaskState.STARTED), f"{number}: {sub_task}"
            assert self.accepted[number] == (sub_task.state == SubTaskState.COMPLETED)
            assert sub_task.fence == sum(owner == number for owner in self.owner.values()) <= POLICY.attempts_at_most
        assert {self.sub_tasks[self.owner[a]].attempt_id for a in self.live()} == set(self.live())

    def _check_outcome(self) -> None:
        optional = {stage.position for stage in self.run.stages if stage.optional}
        left = [each for each in self.sub_tasks.values() if each.state != SubTaskState.COMPLETED]
        assert all(each.stage in optional and each.state == SubTaskState.ERROR for each in left)

    def _note(self, change: Change) -> None:
        match change:
            case StageQueued():
                self._waiting_moved(SubTaskState.QUEUED, {SubTaskState.PENDING}, change.stage)
            case WaitingCancelled():
                self._waiting_moved(SubTaskState.CANCELLED, {SubTaskState.PENDING, SubTaskState.QUEUED})
            case AnalysisMoved() if allows(ANALYSIS, self.analysis, change.event):
                self._move(change.event)

    def _waiting_moved(self, after: SubTaskState, states: set[SubTaskState], stage: int | None = None) -> None:
        for number, each in self.sub_tasks.items():
            if each.state in states and stage in (None, each.stage):
                self.sub_tasks[number] = replace(each, state=after)

    def _move(self, event: AnalysisEvent) -> None:
        self.analysis = move(ANALYSIS, self.analysis, event)
        self.statuses.append(self.analysis)


def _stage_facts(stage: Stage, completed: int) -> StageFacts:
    return StageFacts(
        stage.position,
        stage.step,
        stage.phase,
        stage.queue,
        stage.size,
        stage.parallel,
        stage.optional,
        pending=stage.size - completed,
        completed=completed,
    )
