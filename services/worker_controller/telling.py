"""What the controller says over the broker: drain this worker; that worker has died; nobody serves this queue."""

from shared import names
from shared.broker.port import BrokerPort, OutgoingMessage
from shared.messages.catalogue import DrainWorker, QueueUnserved, WorkerDied
from shared.messages.envelope import encode

_TIMEOUT = 5.0


class Teller:
    """Raises BrokerError where the broker does not take a message."""

    def __init__(self, broker: BrokerPort) -> None:
        self._broker = broker

    def drain(self, worker_id: str) -> None:
        """Over the control exchange, to all; who is not meant takes no notice. Said again until it shows."""
        body = encode(DrainWorker(worker_id))
        message = OutgoingMessage(names.CONTROL_EXCHANGE, "", body, persistent=False, mandatory=False)
        self._broker.publish([message], timeout=_TIMEOUT)

    def died(self, worker_id: str, reason: str) -> None:
        """To the task controller, which ends the worker's leases."""
        message = OutgoingMessage("", names.TASK_CONTROLLER_QUEUE, encode(WorkerDied(worker_id, reason)))
        self._broker.publish([message], timeout=_TIMEOUT)

    def unserved(self, queue: str, reason: str) -> None:
        """To the task controller, for whoever asks why nothing moves. It is said again before it is forgotten."""
        body = encode(QueueUnserved(queue, reason))
        self._broker.publish([OutgoingMessage("", names.TASK_CONTROLLER_QUEUE, body, persistent=False)], _TIMEOUT)
