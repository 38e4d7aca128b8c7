"""What this worker is told on its own queue: one table, one function a message."""

import logging
from collections.abc import Callable
from threading import Event
from typing import Any

from services.worker_monitor.holdings import Holdings
from services.worker_monitor.reading import read
from shared import names
from shared.broker.errors import BrokerUnavailable
from shared.broker.port import BrokerPort, Delivery
from shared.messages.catalogue import AttemptRefused, ClaimAnswered, Message, StopRun

log = logging.getLogger(__name__)

_BATCH = 100

HANDLERS: dict[type[Message], Callable[[Holdings, Any], None]] = {
    ClaimAnswered: lambda holdings, message: holdings.answer(message),
    AttemptRefused: lambda holdings, message: holdings.refuse(message.attempt_id),
    StopRun: lambda holdings, message: holdings.stop_run(message.run_uuid),
}
"""Other messages to all workers do not concern this one: its attempts are settled by itself, it drains on SIGTERM."""


class Control:
    """Consumes the worker's own queue until told to stop."""

    def __init__(self, broker: BrokerPort, worker_id: str, holdings: Holdings) -> None:
        self._broker = broker
        self._queue = names.worker_queue(worker_id)
        self._holdings = holdings
        self.consumer = broker.consume(self._queue, prefetch=2 * _BATCH)

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        while not stopping.is_set():
            for delivery in self.consumer.take(_BATCH, timeout=0.5):
                self._handle(delivery)

    def _handle(self, delivery: Delivery) -> None:
        try:
            message = read(self._broker, self._queue, delivery, (Message,))
        except BrokerUnavailable as error:
            # The queue is gone with the connection: whoever sent it is asked again, or repeats it.
            log.warning("Lost an unreadable message", extra={"queue": self._queue, "reason": str(error)})
            return
        handler = HANDLERS.get(type(message)) if message is not None else None
        if handler is not None:
            handler(self._holdings, message)
        self.consumer.ack([delivery])
