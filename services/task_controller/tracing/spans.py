"""The spans of a run, from what the database knows of it. Pure.

The trace is that of the request. Ids of spans follow from those of the run, its stages and attempts: whoever sends a
run again sends the same spans.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from shared.core.retries import UNCOUNTED, Cause
from shared.core.states import RunState

Value = str | int | float | bool
_HEX = 16


@dataclass(frozen=True)
class TracedAttempt:
    """An attempt. The times of the worker are by its own clock."""

    attempt_id: UUID
    slug: str
    fence: int
    worker_id: str
    host: str | None
    cause: str | None
    message: str | None
    granted_at: datetime
    ended_at: datetime | None
    fetched_at: datetime | None
    step_ended_at: datetime | None
    reported_at: datetime | None
    exit_status: int | None
    signal: int | None
    peak_memory: int | None


@dataclass(frozen=True)
class TracedStage:
    """A stage that has been executed, at least in part."""

    position: int
    step: str
    phase: str
    queue: str
    size: int
    failed: int
    ended_at: datetime
    attempts: tuple[TracedAttempt, ...]


@dataclass(frozen=True)
class Origin:
    """A run, and the request that it came from, as `traceparent` names it."""

    run_uuid: str
    trace_parent: str


@dataclass(frozen=True)
class TracedRun:
    """A run that has ended, with the stages that it has executed itself, in their order."""

    origin: Origin
    facts: Mapping[str, Value | None]
    """What is known of it besides, by name: `id`, `kind`, `analysis`, ..."""
    state: str
    error: str | None
    requested_at: datetime
    planned_at: datetime | None
    ended_at: datetime
    resumed_from: Origin | None
    stages: tuple[TracedStage, ...]


@dataclass(frozen=True)
class RecordedSpan:
    """What happened from a time to another, below something else."""

    name: str
    span_id: int
    parent_id: int
    start: datetime
    end: datetime
    attributes: Mapping[str, Value]
    events: tuple[tuple[str, datetime], ...] = ()
    error: str | None = None
    links: tuple[tuple[int, int], ...] = field(default=())
    """Trace and span of what it goes on from."""


def trace_id(origin: Origin) -> int:
    """The trace that the run belongs to."""
    return int(origin.trace_parent.split("-")[1], _HEX)


def span_id(run_uuid: str, *place: object) -> int:
    """The id of a span of a run: of the run itself, a stage (its position), or an attempt (its id)."""
    digest = sha256("/".join(map(str, (run_uuid, *place))).encode()).digest()
    return int.from_bytes(digest[:8]) or 1


def spans_of(run: TracedRun) -> Iterator[RecordedSpan]:
    """The run, below the request; its stages below it; the attempts of their sub-tasks below these."""
    yield _run_span(run)
    # A stage becomes ready in the transaction that ends the one before.
    ready_at = run.planned_at or run.requested_at
    for stage in run.stages:
        span = _stage_span(run.origin.run_uuid, stage, ready_at)
        yield span
        yield from (_attempt_span(run, stage, attempt, span.span_id) for attempt in stage.attempts)
        ready_at = stage.ended_at


def _run_span(run: TracedRun) -> RecordedSpan:
    before = run.resumed_from
    facts: dict[str, Value | None] = {"uuid": run.origin.run_uuid, "state": run.state, **run.facts}
    return RecordedSpan(
        name=f"run {run.facts['kind']}",
        span_id=span_id(run.origin.run_uuid),
        parent_id=int(run.origin.trace_parent.split("-")[2], _HEX),
        start=run.requested_at,
        end=run.ended_at,
        attributes=_named("run", facts),
        events=(("planned", run.planned_at),) if run.planned_at else (),
        error=(run.error or "the run has failed") if run.state == RunState.FAILED else None,
        links=((trace_id(before), span_id(before.run_uuid)),) if before else (),
    )


def _stage_span(run_uuid: str, stage: TracedStage, ready_at: datetime) -> RecordedSpan:
    facts: dict[str, Value | None] = {
        "step": stage.step,
        "phase": stage.phase,
        "queue": stage.queue,
        "sub_tasks": stage.size,
    }
    return RecordedSpan(
        name=stage.step,
        span_id=span_id(run_uuid, stage.position),
        parent_id=span_id(run_uuid),
        start=min(ready_at, stage.ended_at),
        end=stage.ended_at,
        attributes=_named("stage", facts),
        error=f"{stage.failed} of {stage.size} sub-tasks have failed" if stage.failed else None,
    )


def _attempt_span(run: TracedRun, stage: TracedStage, attempt: TracedAttempt, parent_id: int) -> RecordedSpan:
    facts: dict[str, Value | None] = {
        "id": str(attempt.attempt_id),
        "number": attempt.fence,
        "sub_task": attempt.slug,
        "worker": attempt.worker_id,
        "host": attempt.host,
        "outcome": attempt.cause or ("completed" if attempt.ended_at else "unknown"),
        "exit_status": attempt.exit_status,
        "signal": attempt.signal,
        "peak_memory": attempt.peak_memory,
    }
    times = {
        "fetched": attempt.fetched_at,
        "step ended": attempt.step_ended_at,
        "uploaded": attempt.reported_at if attempt.step_ended_at else None,
    }
    return RecordedSpan(
        name=attempt.slug,
        span_id=span_id(run.origin.run_uuid, attempt.attempt_id),
        parent_id=parent_id,
        start=attempt.granted_at,
        end=attempt.ended_at or max(run.ended_at, stage.ended_at),
        attributes=_named("attempt", facts),
        events=tuple((name, at) for name, at in times.items() if at is not None),
        error=_error(attempt),
    )


def _error(attempt: TracedAttempt) -> str | None:
    if attempt.cause is None or Cause(attempt.cause) in UNCOUNTED:
        return None
    last = (attempt.message or "").strip().rpartition("\n")[2]
    return f"{attempt.cause}: {last}" if last else attempt.cause


def _named(prefix: str, facts: Mapping[str, Value | None]) -> dict[str, Value]:
    return {f"lossline.{prefix}.{name}": value for name, value in facts.items() if value is not None}
