"""Hearing that model workers have started."""

import logging
from threading import Event

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from services.worker_monitor.reading import read
from services.worker_monitor.registration import register
from shared import names
from shared.broker.delays import backoff
from shared.broker.errors import BrokerUnavailable
from shared.broker.port import BrokerPort, Delivery
from shared.messages.catalogue import RegisterModel
from shared.messages.parking import park
from shared.object_store import ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)


class Registrations:
    """Consumes the registrations of models until told to stop."""

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
                    log.warning("Cannot register a model; it goes back", extra={"reason": str(error)})
                    self.consumer.nack([delivery])
                    stopping.wait(next(delays))
        self.consumer.stop()

    def handle(self, delivery: Delivery) -> None:
        """Register, or park what cannot be registered; then acknowledge."""
        message = read(self._broker, names.MONITOR_QUEUE, delivery, (RegisterModel,))
        if isinstance(message, RegisterModel):
            self._register(delivery, message)
        self.consumer.ack([delivery])

    def _register(self, delivery: Delivery, message: RegisterModel) -> None:
        try:
            register(self._engine, self._store, message)
        except (OperationalError, ObjectStoreError):
            raise
        except Exception as error:
            log.exception("A model cannot be registered")
            park(self._broker, delivery.body, names.MONITOR_QUEUE, f"it cannot be registered: {error}", delivery)
