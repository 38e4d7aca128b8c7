"""Heartbeats: this worker is alive and holds these attempts."""

import logging
import socket
from threading import Event

from services.worker_monitor.holdings import Holdings
from shared import names
from shared.broker.errors import BrokerUnavailable
from shared.broker.port import BrokerPort, OutgoingMessage
from shared.core.plan import RECORDER_QUEUE
from shared.messages.catalogue import AttemptBeat, WorkerBeat
from shared.messages.envelope import encode

log = logging.getLogger(__name__)


class Beats:
    """Sends one heartbeat every `every` seconds."""

    def __init__(self, broker: BrokerPort, worker_id: str, holdings: Holdings, every: float = 2.0) -> None:
        self._broker = broker
        self._worker_id = worker_id
        self._holdings = holdings
        self._every = every
        self._host = socket.gethostname()

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        self.send()
        while not stopping.wait(self._every):
            self.send()

    def send(self) -> None:
        """One heartbeat; one that cannot be sent is not missed when the next one can."""
        body = encode(self._beat())
        try:
            self._broker.publish_unconfirmed([OutgoingMessage("", names.HEARTBEAT_QUEUE, body, persistent=False)])
        except BrokerUnavailable as error:
            log.info("A heartbeat could not be sent", extra={"reason": str(error)})

    def _beat(self) -> WorkerBeat:
        running = tuple(AttemptBeat(hold.grant.attempt_id) for hold in self._holdings.held())
        return WorkerBeat(
            worker_id=self._worker_id,
            queue=RECORDER_QUEUE,
            host=self._host,
            slots=self._holdings.slots,
            free_slots=self._holdings.slots - len(running),
            draining=self._holdings.draining,
            running=running,
        )
