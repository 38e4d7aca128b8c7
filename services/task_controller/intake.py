"""The main loop: messages that wait together are handled and committed together, then answered, then acknowledged."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from services.task_controller.committing import commit
from services.task_controller.handlers import HANDLERS, Reply
from services.task_controller.metrics import Counted
from services.task_controller.settings import Settings
from shared import names
from shared.broker.delays import backoff
from shared.broker.errors import BrokerUnavailable
from shared.broker.port import BrokerPort, Delivery, OutgoingMessage
from shared.codec import Unreadable
from shared.core.retries import Cause
from shared.messages.catalogue import AttemptFinished, Message
from shared.messages.envelope import decode, encode
from shared.messages.parking import attempt_named_in, park

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Read:
    """A delivery and what it says."""

    delivery: Delivery
    message: Message


class Intake:
    """Consumes commands and reports until told to stop."""

    def __init__(self, engine: Engine, broker: BrokerPort, settings: Settings, counted: Counted | None = None) -> None:
        self._engine = engine
        self._broker = broker
        self._settings = settings
        self._counted = counted or Counted()
        self.consumer = broker.consume(names.TASK_CONTROLLER_QUEUE, prefetch=4 * settings.batch)

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set; what was taken is finished first."""
        delays = backoff()
        while not stopping.is_set():
            deliveries = self.consumer.take(self._settings.batch, timeout=0.5)
            if not deliveries:
                continue
            try:
                self._handle(deliveries)
                delays = backoff()
            except (OperationalError, BrokerUnavailable) as error:
                log.warning("Cannot commit; the messages go back", extra={"reason": str(error)})
                self.consumer.nack(deliveries)
                stopping.wait(next(delays))

    def _handle(self, deliveries: Sequence[Delivery]) -> None:
        reads = [read for delivery in deliveries if (read := self._read(delivery)) is not None]
        replies = self._commit(reads)
        self._counted.settled((read.message for read in reads), replies)
        send_replies(self._broker.publish_unconfirmed, replies)
        self.consumer.ack(deliveries)

    def _commit(self, reads: Sequence[Read]) -> list[Reply]:
        deliveries = {id(read.message): read.delivery for read in reads}

        def aside(message: Message, reason: str) -> None:
            delivery = deliveries.get(id(message))
            self._park(encode(message) if delivery is None else delivery.body, reason, delivery)

        return commit(self._engine, self._settings, [read.message for read in reads], aside, self._counted)

    def _read(self, delivery: Delivery) -> Read | None:
        try:
            message = decode(delivery.body)
        except Unreadable as error:
            return self._unreadable(delivery, str(error))
        if type(message) not in HANDLERS:
            self._park(delivery.body, f"the task controller does not handle {type(message).__name__}", delivery)
            return None
        return Read(delivery, message)

    def _unreadable(self, delivery: Delivery, reason: str) -> Read | None:
        """Park it; a result that cannot be read also ends its attempt, counted, so that its run goes on."""
        self._park(delivery.body, reason, delivery)
        named = attempt_named_in(delivery.body)
        if named is None:
            return None
        attempt_id, worker_id = named
        message = f"the result of the worker cannot be read: {reason}"
        return Read(delivery, AttemptFinished(attempt_id, worker_id, Cause.UNREADABLE, message))

    def _park(self, body: bytes, reason: str, original: Delivery | None = None) -> None:
        log.error("Parked a message", extra={"reason": reason, "queue": names.TASK_CONTROLLER_QUEUE})
        park(self._broker, body, names.TASK_CONTROLLER_QUEUE, reason, original)


def send_replies(publish: Callable[[Sequence[OutgoingMessage]], None], replies: Sequence[Reply]) -> None:
    """Answer workers; an answer that is lost is asked for again."""
    if replies:
        publish(
            [
                OutgoingMessage("", reply.queue, encode(reply.message), persistent=False, mandatory=False)
                for reply in replies
            ]
        )
