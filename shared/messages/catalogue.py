"""Every message of Lossline. Commands are imperative, events are past tense; docs/messages.md is generated from here.

A message's `VERSION` grows when a reader of the old shape would misread the new one; a new optional field does not
count. Readers ignore fields that they don't know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from shared.core.inputs import FileRef
from shared.core.plan import SlotWeight
from shared.core.retries import Cause


@dataclass(frozen=True)
class Message:
    """The base of all messages."""

    VERSION: ClassVar[int] = 1


@dataclass(frozen=True)
class Token(Message):
    """There is work on this queue. It carries no work: whoever takes it claims."""

    queue: str


@dataclass(frozen=True)
class StartRun(Message):
    """Plan a run that the API has written as REQUESTED, and make its first sub-task ready."""

    run_id: int


@dataclass(frozen=True)
class CancelRun(Message):
    """A run has been set to CANCELLING: end what it still has. The row is the cancel; this only wakes."""

    run_id: int


@dataclass(frozen=True)
class ChangePriority(Message):
    """The sub-tasks of a run that still wait get this priority, 1 to 10."""

    run_id: int
    priority: int


@dataclass(frozen=True)
class ClaimWork(Message):
    """A worker with a free slot asks for the best ready sub-task of its queue.

    The same claim asked again gets the same grant while that attempt lives, and nothing after. `by_token`: whether a
    token led to it, which dies with its answer; else the worker claims for a slot whose attempt has just ended.
    """

    claim_id: UUID
    worker_id: str
    queue: str
    slot: int
    by_token: bool = True


@dataclass(frozen=True)
class Grant:
    """One attempt of a sub-task, to be executed by the worker that claimed."""

    attempt_id: UUID
    fence: int
    lease_seconds: float
    run_id: int
    run_uuid: str
    analysis_id: int | None
    sub_task_id: int
    step: str
    slug: str
    phase: str
    chunk: int | None
    chunks: int | None
    weight: SlotWeight
    key_prefix: str
    log_key: str
    files: Mapping[str, FileRef] = field(default_factory=dict)
    chunk_files: tuple[Mapping[str, FileRef], ...] = ()
    data_files: tuple[FileRef, ...] = ()
    reporting_currency: str | None = None
    portfolio_id: int | None = None

    @property
    def owner_id(self) -> int:
        """The id of the analysis or portfolio that the run belongs to."""
        owner = self.portfolio_id if self.analysis_id is None else self.analysis_id
        if owner is None:
            raise ValueError(f"the grant of attempt {self.attempt_id} names neither an analysis nor a portfolio")
        return owner


@dataclass(frozen=True)
class ClaimAnswered(Message):
    """The answer to a claim: a grant, or nothing.

    `token_left`: the sub-task was granted without a token, so one too many is on the queue or on its way there, and the
    worker removes one. `settled`: the attempt whose report came with the claim and has been taken into account.
    """

    claim_id: UUID
    grant: Grant | None = None
    token_left: bool = False
    settled: UUID | None = None


@dataclass(frozen=True)
class AttemptFinished(Message):
    """An attempt has ended on its worker: `cause` is null when it completed and `artifacts` name what it left.

    `claim` is the claim for the slot that it leaves: handled in the same transaction, after the report, and answered
    with it. Heartbeats repeat reports without it.
    """

    attempt_id: UUID
    worker_id: str
    cause: Cause | None = None
    message: str | None = None
    artifacts: Mapping[str, FileRef] = field(default_factory=dict)
    log_key: str | None = None
    started_at: datetime | None = None
    step_ended_at: datetime | None = None
    finished_at: datetime | None = None
    exit_status: int | None = None
    signal: int | None = None
    peak_memory: int | None = None
    events_total: int = 0
    events_complete: int = 0
    claim: ClaimWork | None = None


@dataclass(frozen=True)
class AttemptSettled(Message):
    """What an attempt left has been taken into account: the worker may forget it."""

    attempt_id: UUID


@dataclass(frozen=True)
class AttemptRefused(Message):
    """An attempt is not, or no longer, the one that counts: the worker kills it and forgets it."""

    attempt_id: UUID
    reason: str


@dataclass(frozen=True)
class AttemptBeat:
    """A running attempt in a heartbeat, with its progress where its kernel reports it."""

    attempt_id: UUID
    events_total: int = 0
    events_complete: int = 0


@dataclass(frozen=True)
class WorkerBeat(Message):
    """A worker is alive and holds these attempts; only those are renewed. Sent every two seconds.

    `fleet_name` is what the fleet that started the worker calls it, or null where nobody's fleet did.
    """

    worker_id: str
    queue: str
    host: str
    slots: int
    free_slots: int
    draining: bool = False
    running: tuple[AttemptBeat, ...] = ()
    finished: tuple[AttemptFinished, ...] = ()
    fleet_name: str | None = None


@dataclass(frozen=True)
class BeatAnswered(Message):
    """A heartbeat that listed attempts has renewed them. Whoever never hears it gives its attempts up, in the end."""

    worker_id: str


@dataclass(frozen=True)
class CanarySent(Message):
    """A reaper looks whether the heartbeat queue is being read."""

    reaper_id: str
    value: int


@dataclass(frozen=True)
class WorkerDied(Message):
    """Whoever started a worker saw its process end; its leases end at once."""

    worker_id: str
    reason: str


@dataclass(frozen=True)
class QueueUnserved(Message):
    """Work waits on a queue, nobody serves it, and this is why. Said again for as long as it is so."""

    queue: str
    reason: str


@dataclass(frozen=True)
class StopRun(Message):
    """Every worker ends the attempts of this run that it holds, and confirms each."""

    run_uuid: str


@dataclass(frozen=True)
class DrainWorker(Message):
    """A worker takes no more work, finishes what it has, however long that takes, and exits."""

    worker_id: str


@dataclass(frozen=True)
class KeepPartialFiles(Message):
    """A sub-task has failed for good: give its users the files that its last attempt had ready."""

    run_id: int
    sub_task_id: int


@dataclass(frozen=True)
class RegisterModel(Message):
    """A model worker has started and says what it serves. Source: oasis_api.md section 3."""

    supplier_id: str
    model_id: str
    version_id: str
    run_mode: str
    settings: Mapping[str, Any] | None = None
    versions: Mapping[str, str | None] = field(default_factory=dict)
    oasislmf_config: Mapping[str, Any] | None = None
