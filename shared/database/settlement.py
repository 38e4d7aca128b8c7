"""Reports about attempts, taken into account: by the task controller for workers, by the worker monitor for itself."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, any_, bindparam, select

from shared import names
from shared.codec import to_plain
from shared.core.facts import AttemptEnded, Decision, SubTaskMoved
from shared.core.retries import Cause
from shared.core.states import AttemptState, RunState, SubTaskState
from shared.database.execution import Attempt
from shared.database.living import earlier_may_live
from shared.database.outbox import Posting
from shared.database.working_set import WorkingSet
from shared.messages.catalogue import AttemptFinished, KeepPartialFiles

_PLACES = select(Attempt.attempt_id, Attempt.run_id, Attempt.sub_task_id).where(
    Attempt.attempt_id == any_(bindparam("ids", type_=ARRAY(Uuid)))
)


@dataclass(frozen=True)
class Place:
    """Which sub-task of which run an attempt belongs to. It never changes."""

    run_id: int
    sub_task_id: int


def places_of(connection: Connection, attempt_ids: Iterable[UUID]) -> dict[UUID, Place]:
    """The places of the attempts that are known."""
    rows = connection.execute(_PLACES, {"ids": sorted(set(attempt_ids))})
    return {row.attempt_id: Place(row.run_id, row.sub_task_id) for row in rows}


def settle(
    work: WorkingSet, reports: Sequence[AttemptFinished], places: dict[UUID, Place], jitter: Callable[[], float]
) -> dict[UUID, str | None]:
    """Take the reports into account, in order. Returns, by attempt, why it was refused, or None where it counts.

    The runs of `places` must be locked; those that have been deleted meanwhile are not known any more.
    """
    known = [report for report in reports if _is_in(places.get(report.attempt_id), work)]
    work.load((places[report.attempt_id].sub_task_id for report in known), (report.attempt_id for report in known))
    verdicts: dict[UUID, str | None] = {report.attempt_id: "this attempt is not known" for report in reports}
    for report in known:
        verdicts[report.attempt_id] = _settle_one(work, report, places[report.attempt_id], jitter())
    return verdicts


def _is_in(place: Place | None, work: WorkingSet) -> bool:
    return place is not None and place.run_id in work.runs


def _settle_one(work: WorkingSet, report: AttemptFinished, place: Place, jitter: float) -> str | None:
    living = 0.0
    if report.cause == Cause.OUT_OF_MEMORY:
        fence = work.policy.self_fence
        living = earlier_may_live(work.connection, place.sub_task_id, report.attempt_id, fence)
    event = AttemptEnded(report.cause, jitter, living, began=report.started_at is not None)
    decision = work.decide(place.run_id, event, place.sub_task_id, report.attempt_id, _details(report))
    if decision.changes and work.attempts[report.attempt_id].state == AttemptState.COMPLETED:
        work.keep_artifacts(place.run_id, place.sub_task_id, _plain(report))
        work.keep_progress(place.sub_task_id, report.events_total, report.events_complete)
    has_failed = work.runs[place.run_id].facts.state in (RunState.FAILING, RunState.FAILED)
    if has_failed and _has_failed_for_good(decision):
        work.post(Posting(KeepPartialFiles(place.run_id, place.sub_task_id), names.MONITOR_QUEUE))
    return decision.refusal


def _plain(report: AttemptFinished) -> dict[str, object]:
    return {name: to_plain(reference) for name, reference in report.artifacts.items()}


def _has_failed_for_good(decision: Decision) -> bool:
    return any(isinstance(each, SubTaskMoved) and each.after == SubTaskState.ERROR for each in decision.changes)


def _details(report: AttemptFinished) -> dict[str, object]:
    return {
        "cause": report.cause,
        # What a model prints may hold a NUL character, which PostgreSQL does not keep.
        "message": report.message.replace("\0", "\ufffd") if report.message else None,
        "exit_status": report.exit_status,
        "signal": report.signal,
        "peak_memory": report.peak_memory,
        "log_key": report.log_key,
        "artifacts": _plain(report) if report.cause and report.artifacts else None,
        "started_at": report.started_at,
        "step_ended_at": report.step_ended_at,
        "finished_at": report.finished_at,
    }
