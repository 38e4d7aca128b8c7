"""What a worker does with each message that it hears: one table, one function a message."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from shared.core.retries import Cause
from shared.messages.catalogue import (
    AttemptRefused,
    AttemptSettled,
    BeatAnswered,
    ClaimAnswered,
    DrainWorker,
    Message,
    StopRun,
)

if TYPE_CHECKING:
    from services.model_worker.supervisor import Supervisor

log = logging.getLogger(__name__)


def answered(worker: Supervisor, message: ClaimAnswered) -> None:
    """A claim has its answer."""
    worker.answer(message)


def settled(worker: Supervisor, message: AttemptSettled) -> None:
    """A report has been taken into account."""
    if message.attempt_id not in worker.attempts:
        worker.holdings.forget(message.attempt_id)


def refused(worker: Supervisor, message: AttemptRefused) -> None:
    """An attempt does not count any more: kill it, and say nothing of it again."""
    log.warning("An attempt was refused", extra={"attempt": str(message.attempt_id), "reason": message.reason})
    worker.holdings.forget(message.attempt_id)
    attempt = worker.attempts.get(message.attempt_id)
    if attempt is not None:
        attempt.stop(Cause.CANCELLED, at_once=True)


def beat_answered(worker: Supervisor, message: BeatAnswered) -> None:
    """The task controller lives, as every message says; it need not say more."""


def stop_run(worker: Supervisor, message: StopRun) -> None:
    """End the attempts of a run; each is confirmed by its report."""
    for attempt in worker.attempts.values():
        if attempt.grant.run_uuid == message.run_uuid:
            attempt.stop(Cause.CANCELLED)


def drain(worker: Supervisor, message: DrainWorker) -> None:
    """Take no more work, finish, exit."""
    if message.worker_id == worker.worker_id:
        worker.leave()


HANDLERS: Mapping[type[Message], Callable[[Supervisor, Any], None]] = {
    ClaimAnswered: answered,
    AttemptSettled: settled,
    AttemptRefused: refused,
    BeatAnswered: beat_answered,
    StopRun: stop_run,
    DrainWorker: drain,
}
