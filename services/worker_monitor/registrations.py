"""What the worker monitor is told by others: that model workers have started, that runs have failed."""

import logging
from collections.abc import Callable
from threading import Event
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from services.worker_monitor.failed_exposure import keep_reason
from services.worker_monitor.partial_files import keep_partial_files
from services.worker_monitor.reading import read
from services.worker_monitor.registration import register
from shared import names
from shared.broker.delays import backoff
from shared.broker.errors import BrokerUnavailable
from shared.broker.port import BrokerPort, Delivery
from shared.messages.catalogue import KeepPartialFiles, Message, RegisterModel
from shared.messages.parking import park
from shared.object_store import ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)


def _keep_what_is_left(engine: Engine, store: ObjectStore, message: KeepPartialFiles) -> None:
    """Of a failed run: of an analysis what it had ready, of a portfolio the reason."""
    keep_partial_files(engine, store, message)
    keep_reason(engine, store, message)


HANDLERS: dict[type[Message], Callable[[Engine, ObjectStore, Any], object]] = {
    RegisterModel: register,
    KeepPartialFiles: _keep_what_is_left,
}


class Registrations:
    """Consumes the queue of the worker monitor until told to stop."""

    def __init__(self, engine: Engine, broker: BrokerPort, store: ObjectStore) -> None:
        self._engine = engine
        self._broker = broker
        self._store = store
        self.consumer = broker.consume(names.MONITOR_QUEUE, prefetch=10)

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        delays = backoff()
        while not stopping.is_set():
            for delivery in self.consumer.take(1, timeout=0.5):
                try:
                    self.handle(delivery)
                    delays = backoff()
                except (OperationalError, ObjectStoreError, BrokerUnavailable) as error:
                    log.warning("Cannot do what a message wants; it goes back", extra={"reason": str(error)})
                    self.consumer.nack([delivery])
                    stopping.wait(next(delays))
        self.consumer.stop()

    def handle(self, delivery: Delivery) -> None:
        """Do what the message wants, or park it where that cannot be done; then acknowledge."""
        message = read(self._broker, names.MONITOR_QUEUE, delivery, tuple(HANDLERS))
        if message is not None:
            self._do(delivery, message)
        self.consumer.ack([delivery])

    def _do(self, delivery: Delivery, message: Message) -> None:
        try:
            HANDLERS[type(message)](self._engine, self._store, message)
        except (OperationalError, ObjectStoreError):
            raise
        except Exception as error:
            log.exception("A message cannot be handled", extra={"message_type": type(message).__name__})
            park(self._broker, delivery.body, names.MONITOR_QUEUE, f"it cannot be handled: {error}", delivery)
