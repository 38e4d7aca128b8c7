"""Tables of what is executed: runs, their stages, sub-tasks, attempts, the outbox, and the workers that beat."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Sequence,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.base import Created, Id, Moment, Table


class Run(Table):
    """One execution of an analysis, or on a portfolio.

    What it was requested with is kept here; users may change the rest meanwhile.
    """

    __tablename__ = "runs"
    id: Mapped[Id]
    run_uuid: Mapped[str] = mapped_column(String(32), unique=True)
    analysis_id: Mapped[int | None] = mapped_column(ForeignKey("analyses.id", ondelete="CASCADE"))
    portfolio_id: Mapped[int | None] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"))
    """Of a validation, an exposure run or a transformation; every run belongs to one of the two."""
    kind: Mapped[str] = mapped_column(String(32))
    run_mode: Mapped[str] = mapped_column(String(8), server_default="V2")
    state: Mapped[str] = mapped_column(String(16))
    priority: Mapped[int]
    model_queue: Mapped[str] = mapped_column(String(255))
    """The queue that its model sub-tasks go to, `{supplier}-{model}-{version}-v2`."""
    requested_at: Mapped[Created]
    requested_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    ended_at: Mapped[Moment | None]
    inputs: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """shared.core.inputs.RunInputs as JSON: the files, by reference, and values that the steps read."""
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """shared.core.inputs.ChunkingFacts as JSON: what the chunk counts are found from."""
    lookup_chunks: Mapped[int | None]
    loss_chunks: Mapped[int | None]
    chunk_advice: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """Of the stages whose strategy is AUTO: `lookup`, `losses` -> shared.core.auto_chunks.ChunkAdvice as JSON."""
    error: Mapped[str | None]
    """Why the run could not be planned, in one sentence."""
    model_version: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """What the model said of its version when the run was requested: column of `models` -> value."""
    resumed_from_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    """The run whose completed sub-tasks this one began with."""
    objects_swept_at: Mapped[Moment | None]
    """From when on the objects of its attempts may be gone, so that it cannot be resumed; null while they are kept."""
    trace_parent: Mapped[str | None] = mapped_column(String(64))
    """The span of the request that it came from, as the header `traceparent` names it; null where it is not traced."""
    traced_at: Mapped[Moment | None]
    """When its trace had arrived."""
    __table_args__ = (
        CheckConstraint("num_nonnulls(analysis_id, portfolio_id) = 1", name="owner"),
        Index(None, "analysis_id"),
        Index(None, "portfolio_id", postgresql_where=text("portfolio_id IS NOT NULL")),
        Index(None, "resumed_from_id", postgresql_where=text("resumed_from_id IS NOT NULL")),
        Index("ix_runs_alive", "state", postgresql_where=text("ended_at IS NULL")),
        Index(
            "ix_runs_untraced",
            "ended_at",
            postgresql_where=text("trace_parent IS NOT NULL AND traced_at IS NULL"),
        ),
        Index("ix_runs_completed", "model_queue", "id", postgresql_where=text("state = 'COMPLETED'")),
    )


class RunFile(Table):
    """A file that a run recorded, or took over from the run that it was resumed from."""

    __tablename__ = "run_files"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    """As a field of the analysis or portfolio: `output_file`, `input_file`, ..."""
    file_id: Mapped[int] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"))
    __table_args__ = (Index(None, "file_id"),)


class Removal(Table):
    """Objects that are to go, by prefix: written with the change that gives them up, deleted once they are gone.

    An upload has one too until its row commits: then it goes if the API dies in between.
    """

    __tablename__ = "removals"
    id: Mapped[Id]
    prefix: Mapped[str] = mapped_column(String(1024))
    not_before: Mapped[Moment]


class StageRow(Table):
    """A stage of a run: the counters of its sub-tasks, and what it left for the later ones."""

    __tablename__ = "stages"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(String(64))
    phase: Mapped[str] = mapped_column(String(16))
    queue: Mapped[str] = mapped_column(String(255))
    parallel: Mapped[bool]
    optional: Mapped[bool]
    size: Mapped[int]
    pending: Mapped[int]
    queued: Mapped[int] = mapped_column(server_default="0")
    started: Mapped[int] = mapped_column(server_default="0")
    completed: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[int] = mapped_column(server_default="0")
    cancelled: Mapped[int] = mapped_column(server_default="0")
    artifacts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """Of a serial stage: what its accepted attempt left, name -> {key, filename}."""


class SubTask(Table):
    """One unit of a run on one queue."""

    __tablename__ = "sub_tasks"
    id: Mapped[Id]
    task_id: Mapped[UUID] = mapped_column(unique=True, server_default=text("gen_random_uuid()"))
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    stage: Mapped[int]
    chunk: Mapped[int]
    slug: Mapped[str] = mapped_column(String(128))
    name: Mapped[str] = mapped_column(String(128))
    queue: Mapped[str] = mapped_column(String(255))
    weight: Mapped[str] = mapped_column(String(8))
    priority: Mapped[int]
    requested_at: Mapped[Moment]
    """Of the run, repeated here (like the priority) so that one index holds the order of claims."""
    state: Mapped[str] = mapped_column(String(16))
    fence: Mapped[int] = mapped_column(server_default="0")
    attempt_id: Mapped[UUID | None]
    """The newest attempt: the only one whose result is accepted."""
    pending_time: Mapped[Created]
    queue_time: Mapped[Moment | None]
    start_time: Mapped[Moment | None]
    end_time: Mapped[Moment | None]
    not_before: Mapped[Moment | None]
    ended: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """Ended attempts by cause."""
    retry_count: Mapped[int] = mapped_column(server_default="0")
    artifacts: Mapped[dict[str, Any] | None]
    events_total: Mapped[int] = mapped_column(server_default="0")
    """Of the whole event set, as its attempts have told."""
    events_complete: Mapped[int] = mapped_column(server_default="0")
    """The most that one of its attempts has told."""
    copied_from_id: Mapped[int | None] = mapped_column(ForeignKey("sub_tasks.id", ondelete="SET NULL"))
    """Of a resumed run: the sub-task of an earlier run that was executed in place of this one; it has the attempts."""
    __table_args__ = (
        UniqueConstraint("run_id", "stage", "chunk"),
        Index(None, "copied_from_id", postgresql_where=text("copied_from_id IS NOT NULL")),
        Index(
            "ix_sub_tasks_claims",
            "queue",
            text("priority DESC"),
            "requested_at",
            "run_id",
            text("stage DESC"),
            "id",
            postgresql_where=text("state = 'QUEUED'"),
        ),
        Index("ix_sub_tasks_waiting", "run_id", postgresql_where=text("state IN ('PENDING', 'QUEUED')")),
    )


class Attempt(Table):
    """One execution of a sub-task by one worker. The UUID is its identity, the fence its order."""

    __tablename__ = "attempts"
    attempt_id: Mapped[UUID] = mapped_column(primary_key=True)
    claim_id: Mapped[UUID | None] = mapped_column(unique=True)
    sub_task_id: Mapped[int] = mapped_column(ForeignKey("sub_tasks.id", ondelete="CASCADE"))
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    fence: Mapped[int]
    worker_id: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    granted_at: Mapped[Created]
    lease_until: Mapped[Moment]
    renewals: Mapped[int] = mapped_column(server_default="0")
    slot: Mapped[int | None]
    started_at: Mapped[Moment | None]
    """When the worker started its process, by the worker's clock."""
    step_ended_at: Mapped[Moment | None]
    """When its process had ended, by the worker's clock: then it uploads what it left."""
    finished_at: Mapped[Moment | None]
    ended_at: Mapped[Moment | None]
    cause: Mapped[str | None] = mapped_column(String(32))
    message: Mapped[str | None]
    exit_status: Mapped[int | None]
    signal: Mapped[int | None]
    peak_memory: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes."""
    artifacts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """Of a failed attempt: the files that it had ready, name -> {key, filename}."""
    log_key: Mapped[str | None] = mapped_column(String(1024))
    __table_args__ = (
        Index(None, "run_id"),
        Index(None, "sub_task_id"),
        Index("ix_attempts_live", "worker_id", postgresql_where=text("state IN ('granted', 'running')")),
    )


class Outbox(Table):
    """A message that a change causes, committed with the change; the relay publishes it and marks it sent."""

    __tablename__ = "outbox"
    id: Mapped[Id]
    created: Mapped[Created]
    not_before: Mapped[Moment | None]
    exchange: Mapped[str] = mapped_column(String(255), server_default="")
    routing_key: Mapped[str] = mapped_column(String(255))
    priority: Mapped[int] = mapped_column(server_default="0")
    mandatory: Mapped[bool] = mapped_column(server_default=text("true"))
    copies: Mapped[int] = mapped_column(server_default="1")
    """How many times to publish it: tokens of a parallel section are one row."""
    body: Mapped[bytes] = mapped_column(LargeBinary)
    sent_at: Mapped[Moment | None]
    __table_args__ = (Index("ix_outbox_unsent", "id", postgresql_where=text("sent_at IS NULL")),)


class Worker(Table):
    """A worker process that has been heard of. Its id is new at every start of the process."""

    __tablename__ = "workers"
    worker_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    queue: Mapped[str] = mapped_column(String(255))
    host: Mapped[str] = mapped_column(String(255))
    slots: Mapped[int]
    free_slots: Mapped[int]
    draining: Mapped[bool]
    first_seen: Mapped[Created]
    last_seen: Mapped[Created]
    beats: Mapped[int] = mapped_column(BigInteger, server_default="1")
    died_at: Mapped[Moment | None]
    died_of: Mapped[str | None]
    fleet_name: Mapped[str | None] = mapped_column(String(255))
    __table_args__ = (Index(None, "queue"),)


UNREPEATED = timedelta(seconds=30)
"""What a worker controller has said of a queue, and not repeated for so long, is no longer so."""


class UnservedQueue(Table):
    """Why nobody serves a queue with work, as its worker controller has said last."""

    __tablename__ = "unserved_queues"
    queue: Mapped[str] = mapped_column(String(255), primary_key=True)
    reason: Mapped[str]
    told_at: Mapped[Created]


class Canary(Table):
    """The last canary of a reaper that came back through the heartbeat queue."""

    __tablename__ = "canaries"
    reaper_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


class ReportedProgress(Table):
    """Events of a run's losses that workers of somebody else have told of, apart from what our own workers count."""

    __tablename__ = "reported_progress"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    events_total: Mapped[int] = mapped_column(BigInteger, server_default="0")
    events_complete: Mapped[int] = mapped_column(BigInteger, server_default="0")


QUEUE_STATUS_VERSION = Sequence("queue_status_version", metadata=Table.metadata)
"""Numbers the queue statuses that are read, by whichever process: a client may change servers and still compare."""
