"""A worker that died is reported to the task controller at once: its leases need not run out."""

import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from services.embedded.service_process import Death
from shared import names
from shared.broker.errors import BrokerError
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import OutgoingMessage
from shared.messages.catalogue import WorkerDied
from shared.messages.envelope import encode

log = logging.getLogger(__name__)


class DeathReporter:
    """Tells the task controller which incarnation of a worker has died, and how."""

    def __init__(self, broker_url: str) -> None:
        self._broker = BlockingBroker(broker_url, "lossline")

    def __enter__(self) -> Self:
        self._broker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._broker.close()

    def report(self, id_file: Path, death: Death) -> None:
        """Report the worker that wrote `id_file`, if that was this process. Unreported, its leases run out."""
        pid, _, worker_id = id_file.read_text(encoding="utf-8").partition(" ")
        if pid != str(death.pid):
            return
        body = encode(WorkerDied(worker_id, str(death)))
        try:
            self._broker.publish([OutgoingMessage("", names.TASK_CONTROLLER_QUEUE, body)], timeout=5)
        except BrokerError as error:
            log.warning("A death could not be reported", extra={"worker": worker_id, "reason": str(error)})
