"""What the doctor has seen: plain values of one moment, no input or output."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.broker.port import QueueDepth
from shared.core.states import RunState


class Severity(StrEnum):
    """How bad it is. A note says what is unusual but right: with nothing but notes a platform is healthy."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what, since when where that is known, and what to do about it. Both are sentences."""

    severity: Severity
    what: str
    since: datetime | None
    advice: str


@dataclass(frozen=True)
class Unreachable:
    """A part that gave no proper answer. `where` may be shown: it holds no secrets."""

    part: str
    where: str
    reason: str


@dataclass(frozen=True)
class Schema:
    """The revision of the database (None: it has no tables of ours), and the newest that this program knows."""

    revision: str | None
    head: str
    is_known: bool


@dataclass(frozen=True)
class ExpiredLease:
    """A live attempt whose worker has not renewed its lease in time."""

    worker_id: str
    sub_task: str
    analysis_id: int | None
    lease_until: datetime
    portfolio_id: int | None = None


@dataclass(frozen=True)
class ReadyQueue:
    """A queue with sub-tasks that a worker could have now; `since` is when the oldest of them became ready.

    `unserved`: why nobody serves it, where its worker controller has said so.
    """

    name: str
    sub_tasks: int
    since: datetime
    unserved: str | None = None


@dataclass(frozen=True)
class LiveWorker:
    """A worker whose heartbeats are recent."""

    worker_id: str
    queue: str
    host: str
    slots: int
    is_draining: bool


@dataclass(frozen=True)
class UnsentMessages:
    """Outbox rows that should have been published; `since` is when the oldest of them was due."""

    rows: int
    since: datetime


@dataclass(frozen=True)
class OpenRun:
    """A run that has not ended. `moving` counts its sub-tasks that are queued or started.

    `since` is when it was last heard of: its request, the end of a sub-task, or when it was told to stop.
    """

    run_id: int
    analysis_id: int | None
    state: RunState
    moving: int
    since: datetime
    portfolio_id: int | None = None


@dataclass(frozen=True)
class Execution:
    """What the tables say of one moment, by the database's clock."""

    now: datetime
    leases: tuple[ExpiredLease, ...] = ()
    ready: tuple[ReadyQueue, ...] = ()
    workers: tuple[LiveWorker, ...] = ()
    unsent: UnsentMessages | None = None
    runs: tuple[OpenRun, ...] = ()


@dataclass(frozen=True)
class DatabaseFacts:
    """`clock_ahead`: seconds that this machine is ahead of the database, zero within the error of measuring.

    `execution` is None where the schema is not the one of this program.
    """

    schema: Schema
    clock_ahead: float = 0.0
    execution: Execution | None = None


@dataclass(frozen=True)
class BrokerFacts:
    """Depths of the queues that exist, and whether the broker takes messages (it does not while an alarm lasts)."""

    depths: Mapping[str, QueueDepth] = field(default_factory=dict)
    takes_messages: bool = True


@dataclass(frozen=True)
class FileSystem:
    """One file system, the folders of ours on it, and its space in bytes; `free` is what an ordinary user may fill."""

    folders: tuple[str, ...]
    free: int
    total: int


@dataclass(frozen=True)
class Facts:
    """All of it. `unreachable` holds the parts without a place of their own: object store, API and websocket server."""

    database: DatabaseFacts | Unreachable
    broker: BrokerFacts | Unreachable
    unreachable: tuple[Unreachable, ...] = ()
    file_systems: tuple[FileSystem, ...] = ()


@dataclass(frozen=True)
class Limits:
    """From when on something is a finding: seconds, bytes, and parts of one."""

    unheard_lease: float = 30.0
    unserved_queue: float = 30.0
    short_of_tokens: float = 15.0
    idle_run: float = 15.0
    stopping_run: float = 60.0
    clock: float = 2.0
    free_bytes: int = 1 << 30
    free_share: float = 0.05
