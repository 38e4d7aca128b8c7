"""Reading deliveries: a message of the kinds that a queue is for, or a parked one."""

import logging

from shared.broker.port import BrokerPort, Delivery
from shared.codec import Unreadable
from shared.messages.catalogue import Message
from shared.messages.envelope import decode
from shared.messages.parking import park

log = logging.getLogger(__name__)


def read(broker: BrokerPort, queue: str, delivery: Delivery, kinds: tuple[type[Message], ...]) -> Message | None:
    """The message, or None where it was parked. Raises BrokerUnavailable when it cannot even be parked."""
    try:
        message = decode(delivery.body)
    except Unreadable as error:
        _park(broker, queue, delivery, str(error))
        return None
    if isinstance(message, kinds):
        return message
    _park(broker, queue, delivery, f"{type(message).__name__} does not belong on this queue")
    return None


def _park(broker: BrokerPort, queue: str, delivery: Delivery, reason: str) -> None:
    log.error("Parked a message", extra={"queue": queue, "reason": reason})
    park(broker, delivery.body, queue, reason, delivery)
