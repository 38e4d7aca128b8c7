"""What a decision looks at, what may happen, and what follows: plain values, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from shared.core.plan import Phase, SlotWeight
from shared.core.retries import Cause
from shared.core.states import AnalysisEvent, AttemptState, ExposureEvent, RunState, SubTaskState


@dataclass(frozen=True)
class StageFacts:
    """A stage and the counters of its sub-tasks, which always add up to its size."""

    position: int
    step: str
    phase: Phase
    queue: str
    size: int
    parallel: bool = False
    optional: bool = False
    pending: int = 0
    queued: int = 0
    started: int = 0
    completed: int = 0
    error: int = 0
    cancelled: int = 0

    @property
    def is_done(self) -> bool:
        """Whether the next stage may become ready."""
        return self.completed + (self.error if self.optional else 0) == self.size

    @property
    def waiting(self) -> int:
        """Sub-tasks that no worker holds."""
        return self.pending + self.queued

    def moved(self, before: SubTaskState, after: SubTaskState, count: int = 1) -> "StageFacts":
        """The stage after `count` sub-tasks have changed their state."""
        if before == after:
            return self
        one, other = before.lower(), after.lower()
        changed = {one: getattr(self, one) - count, other: getattr(self, other) + count}
        if min(changed.values()) < 0:
            raise ValueError(f"stage {self.position} has no {count} sub-tasks that are {before}: {self}")
        return replace(self, **changed)


@dataclass(frozen=True)
class RunFacts:
    """A run's header and its stages in order."""

    run_id: int
    run_uuid: str
    analysis_id: int | None
    state: RunState
    priority: int
    stages: tuple[StageFacts, ...] = ()
    resumed: bool = False
    """Whether the run began with completed sub-tasks of an earlier one."""
    portfolio_id: int | None = None
    """Of a run that belongs to a portfolio, and to no analysis."""

    @property
    def owner_id(self) -> int:
        """The id of the analysis or portfolio that the run belongs to."""
        owner = self.portfolio_id if self.analysis_id is None else self.analysis_id
        if owner is None:
            raise ValueError(f"run {self.run_id} belongs to nothing")
        return owner

    @property
    def is_stopping(self) -> bool:
        """Whether the run has been cancelled or has failed, and waits for its last attempts to end."""
        return self.state in (RunState.CANCELLING, RunState.FAILING)

    @property
    def open_sub_tasks(self) -> int:
        """Sub-tasks that are not terminal."""
        return sum(stage.waiting + stage.started for stage in self.stages)


@dataclass(frozen=True)
class SubTaskFacts:
    """The one sub-task concerned. `ended` counts its ended attempts by cause."""

    sub_task_id: int
    stage: int
    state: SubTaskState
    attempt_id: UUID | None = None
    fence: int = 0
    weight: SlotWeight = SlotWeight.ONE
    ended: Mapping[Cause, int] = field(default_factory=dict)


@dataclass(frozen=True)
class AttemptFacts:
    """The one attempt concerned."""

    attempt_id: UUID
    state: AttemptState


@dataclass(frozen=True)
class Facts:
    """All that a decision looks at."""

    run: RunFacts
    sub_task: SubTaskFacts | None = None
    attempt: AttemptFacts | None = None


@dataclass(frozen=True)
class RunPlanned:
    """The sub-tasks of the run have been written, all PENDING."""


@dataclass(frozen=True)
class RunUnplannable:
    """No plan can be made of what the run was requested with."""

    phase: Phase


@dataclass(frozen=True)
class CancelRequested:
    """The run has been set to CANCELLING."""


@dataclass(frozen=True)
class Looked:
    """The reconciler has looked at the run."""


@dataclass(frozen=True)
class WorkGranted:
    """The sub-task is given to a worker as this attempt."""

    attempt_id: UUID


@dataclass(frozen=True)
class AttemptEnded:
    """The attempt is over: with a result (cause None), or by a cause. `jitter` is random, 0 to 1.

    `earlier_may_live`: seconds for which an earlier attempt of the sub-task, ended as lost, may still be computing.
    `began`: its worker says that it had begun, so that it has reached one, whether or not a heartbeat has listed it.
    """

    cause: Cause | None = None
    jitter: float = 0.0
    earlier_may_live: float = 0.0
    began: bool = False


Event = RunPlanned | RunUnplannable | CancelRequested | Looked | WorkGranted | AttemptEnded


@dataclass(frozen=True)
class SubTaskMoved:
    """The sub-task changes its state; after a counted end it is tried again no earlier than `delay` seconds on."""

    before: SubTaskState
    after: SubTaskState
    attempt_id: UUID | None = None
    ended_by: Cause | None = None
    delay: float = 0.0
    weight: SlotWeight | None = None


@dataclass(frozen=True)
class AttemptMoved:
    """The attempt concerned changes its state."""

    after: AttemptState


@dataclass(frozen=True)
class StageQueued:
    """All PENDING sub-tasks of a stage become QUEUED, by one statement."""

    stage: int


@dataclass(frozen=True)
class WaitingCancelled:
    """All PENDING and QUEUED sub-tasks of the run become CANCELLED, by one statement."""


@dataclass(frozen=True)
class RunMoved:
    """The run changes its state."""

    after: RunState


@dataclass(frozen=True)
class AnalysisMoved:
    """The analysis changes its status, if this run is still its current one and the table allows it."""

    event: AnalysisEvent


@dataclass(frozen=True)
class PortfolioMoved:
    """The portfolio changes the statuses that still belong to this run, where the table allows it."""

    event: ExposureEvent


Change = SubTaskMoved | AttemptMoved | StageQueued | WaitingCancelled | RunMoved | AnalysisMoved | PortfolioMoved


@dataclass(frozen=True)
class PublishTokens:
    """Say `count` times on a queue that there is work, no earlier than `delay` seconds on."""

    queue: str
    count: int
    delay: float = 0.0


@dataclass(frozen=True)
class StopAttempts:
    """Tell every worker to end the attempts of the run."""


Instruction = PublishTokens | StopAttempts


@dataclass(frozen=True)
class Decision:
    """What follows from an event. `refusal` says why a report does not count; the worker then kills the attempt."""

    changes: tuple[Change, ...] = ()
    instructions: tuple[Instruction, ...] = ()
    refusal: str | None = None
