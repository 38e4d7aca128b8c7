"""Handling messages in one transaction, and what happens to one that cannot be handled."""

import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from services.task_controller.handlers import Reply, handle
from services.task_controller.metrics import Counted
from services.task_controller.settings import Settings
from shared.core.retries import Cause
from shared.database.transactions import in_working_set
from shared.messages.catalogue import AttemptFinished, Message

log = logging.getLogger(__name__)

Park = Callable[[Message, str], None]
"""Puts a message that cannot be handled aside, with the reason."""


def commit(
    engine: Engine, settings: Settings, messages: Sequence[Message], park: Park, counted: Counted
) -> list[Reply]:
    """Handle all in one transaction, else each in its own; park what cannot be handled. Raises OperationalError."""
    if not messages:
        return []
    try:
        replies, retried = in_working_set(
            engine, settings.policy, lambda work: (handle(work, settings, messages), work.retried)
        )
    except OperationalError:
        raise
    except Exception:
        if len(messages) > 1:
            return [reply for message in messages for reply in commit(engine, settings, [message], park, counted)]
        log.exception("A message cannot be handled", extra={"message_type": type(messages[0]).__name__})
        park(messages[0], "it cannot be handled; see the log of the task controller")
        return commit(engine, settings, _counted(messages[0]), park, counted)
    counted.retried_of(retried)
    return replies


def _counted(message: Message) -> list[Message]:
    """A result that cannot be kept ends its attempt, counted, so that its run goes on."""
    if not isinstance(message, AttemptFinished) or message.cause == Cause.UNREADABLE:
        return []
    return [AttemptFinished(message.attempt_id, message.worker_id, Cause.UNREADABLE, "its result cannot be kept")]
