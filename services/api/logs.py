"""Texts that are composed of the logs of attempts when they are read. Source: oasis_api.md sections 1.7 and 2.2.

What is to be read is decided first (`Part`s, from the database); the bytes follow while the answer is sent. A log whose
object is gone, or cannot be read, is left out: a text about failures must not fail.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from services.api.downloads import CHUNK_BYTES
from shared.core.plan import UNDIVIDED_STEPS, Phase, RunMode, log_key
from shared.core.retries import UNCOUNTED
from shared.core.states import LIVE_ATTEMPTS, AttemptState, RunState, SubTaskState
from shared.database.execution import Attempt, Run, StageRow, SubTask
from shared.object_store import ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)

FAILED_RUNS = (RunState.FAILING, RunState.FAILED)
_TRIED = (AttemptState.FAILED, AttemptState.LOST, AttemptState.OUT_OF_MEMORY)


@dataclass(frozen=True)
class Part:
    """A piece of a composed text: a text, then a log."""

    text: str = ""
    log_key: str | None = None


def origin_of(sub_task: SubTask) -> int:
    """The id of the sub-task that has the attempts: this one, or the one that a resumed run has copied."""
    return sub_task.copied_from_id or sub_task.id


def compose(store: ObjectStore, parts: Iterable[Part]) -> Iterator[bytes]:
    """The bytes of the parts."""
    for part in parts:
        if part.text:
            yield part.text.encode("utf-8", "replace")
        if part.log_key:
            yield from _log_bytes(store, part.log_key)


def newest_log(session: Session, store: ObjectStore, sub_task: SubTask) -> str | None:
    """The key of the log of the newest attempt that has one; a running one has it as soon as something is stored."""
    attempts = attempts_of(session, sub_task)
    if attempts and attempts[-1].state in LIVE_ATTEMPTS:
        run_uuid = session.scalars(select(Run.run_uuid).where(Run.id == attempts[-1].run_id)).one()
        key = log_key(run_uuid, str(attempts[-1].attempt_id))
        if _is_there(store, key):
            return key
    return next((attempt.log_key for attempt in reversed(attempts) if attempt.log_key), None)


def error_log(session: Session, sub_task: SubTask) -> list[Part] | None:
    """What the newest failed attempt ended with."""
    if sub_task.state != SubTaskState.ERROR:
        return None
    messages = [attempt.message for attempt in attempts_of(session, sub_task) if attempt.message]
    return [Part(messages[-1] if messages else "")]


def retry_log(session: Session, sub_task: SubTask) -> list[Part] | None:
    """The message and the log of every ended attempt that counted."""
    if not sub_task.retry_count:
        return None
    tried = [each for each in attempts_of(session, sub_task) if each.state in _TRIED and each.cause not in UNCOUNTED]
    return [
        Part(f"\n=== {sub_task.slug}, try={number}  ===\n{_line(attempt.message)}", attempt.log_key)
        for number, attempt in enumerate(tried, start=1)
    ]


def has_failed(run: Run | None) -> bool:
    """Whether the run's traceback begins with what went wrong."""
    return run is not None and run.state in FAILED_RUNS


def traceback(session: Session, run: Run, phase: Phase) -> list[Part]:
    """What went wrong, if it did, then the log of every sub-task of the phase, or of the only one of v1."""
    parts = [Part(f"\n=== Trace Back ===\n{_line(_failure(session, run))}")] if has_failed(run) else []
    if run.run_mode == RunMode.V1:
        logs = dict(_newest_logs(session, run, phase))
        return parts + [Part(log_key=logs[step]) for step in UNDIVIDED_STEPS if step in logs]
    return parts + [Part(f"\n=== {slug} ===\n", log_key) for slug, log_key in _newest_logs(session, run, phase)]


def attempts_of(session: Session, sub_task: SubTask) -> Sequence[Attempt]:
    """The attempts of a sub-task, or of the one that it was copied from, in the order of their fences."""
    query = select(Attempt).where(Attempt.sub_task_id == origin_of(sub_task)).order_by(Attempt.fence)
    return session.scalars(query).all()


def _failure(session: Session, run: Run) -> str | None:
    failed = (SubTask.run_id == run.id, SubTask.state == SubTaskState.ERROR, Attempt.message.is_not(None))
    query = select(Attempt.message).join(SubTask, SubTask.id == Attempt.sub_task_id).where(*failed)
    newest = query.order_by(SubTask.end_time, SubTask.id, Attempt.fence.desc()).limit(1)
    return session.scalars(newest).one_or_none() or run.error


def _newest_logs(session: Session, run: Run, phase: Phase) -> list[tuple[str, str | None]]:
    of_phase = (StageRow.run_id == SubTask.run_id) & (StageRow.position == SubTask.stage)
    query = (
        select(SubTask.slug, Attempt.log_key)
        .join(StageRow, of_phase)
        .join(Attempt, Attempt.sub_task_id == func.coalesce(SubTask.copied_from_id, SubTask.id))
        .where(SubTask.run_id == run.id, StageRow.phase == phase, Attempt.log_key.is_not(None))
        .order_by(SubTask.id, Attempt.fence.desc())
        .ext(distinct_on(SubTask.id))
    )
    return [(row.slug, row.log_key) for row in session.execute(query)]


def _is_there(store: ObjectStore, key: str) -> bool:
    try:
        return store.exists(key)
    except ObjectStoreError:
        return False


def _line(text: str | None) -> str:
    return f"{text.rstrip()}\n" if text else ""


def _log_bytes(store: ObjectStore, key: str) -> Iterator[bytes]:
    try:
        with store.open(key) as stream:
            while block := stream.read(CHUNK_BYTES):
                yield block
    except ObjectStoreError:
        log.warning("a log cannot be read", extra={"key": key}, exc_info=True)
