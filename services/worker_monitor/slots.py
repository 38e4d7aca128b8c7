"""A slot: takes a token, claims with it, executes what it was granted, one attempt at a time."""

import logging
import time
from collections.abc import Callable
from threading import Event
from uuid import UUID, uuid4

from services.worker_monitor.holdings import Claim, Hold, Holdings
from services.worker_monitor.reading import read
from shared import names
from shared.broker.delays import backoff
from shared.broker.errors import BrokerUnavailable
from shared.broker.port import BrokerPort, Delivery, OutgoingMessage
from shared.core.plan import RECORDER_QUEUE
from shared.messages.catalogue import ClaimWork, Token
from shared.messages.envelope import encode

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.2


class Slot:
    """Has a consumer of its own, which gets one token at a time.

    A token is acknowledged when the slot is free again, not before: an acknowledgement would bring the next token to
    a busy slot while another worker may be free. A token that is delivered again meanwhile only leads to a claim.
    """

    def __init__(
        self,
        number: int,
        broker: BrokerPort,
        worker_id: str,
        holdings: Holdings,
        execute: Callable[[Hold], None],
        claim_again_after: float = 2.0,
    ) -> None:
        self._number = number
        self._broker = broker
        self._worker_id = worker_id
        self._holdings = holdings
        self._execute = execute
        self._claim_again_after = claim_again_after
        self.consumer = broker.consume(RECORDER_QUEUE, prefetch=1)

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set; the attempt that is held then is finished or given up first."""
        delays = backoff()
        while not stopping.is_set():
            for token in self.consumer.take(1, timeout=0.5):
                try:
                    self._serve(token, stopping)
                    delays = backoff()
                except BrokerUnavailable as error:
                    log.warning("Cannot take work", extra={"slot": self._number, "reason": str(error)})
                    self.consumer.nack([token])
                    stopping.wait(next(delays))
        self.consumer.stop()

    def _serve(self, token: Delivery, stopping: Event) -> None:
        if read(self._broker, RECORDER_QUEUE, token, (Token,)) is None:
            self.consumer.ack([token])
            return
        claim_id = uuid4()
        with self._holdings.claiming(claim_id) as claim:
            self._ask(claim_id, claim, stopping)
        if not claim.answered.is_set():
            self.consumer.nack([token])
            return
        if claim.hold is not None:
            self._work(claim.hold)
        self.consumer.ack([token])

    def _work(self, hold: Hold) -> None:
        try:
            self._execute(hold)
        finally:
            self._holdings.finish(hold)

    def _ask(self, claim_id: UUID, claim: Claim, stopping: Event) -> None:
        """Repeat the claim until it is answered, or `stopping` is set."""
        body = encode(ClaimWork(claim_id, self._worker_id, RECORDER_QUEUE, self._number))
        question = OutgoingMessage("", names.TASK_CONTROLLER_QUEUE, body, persistent=False, mandatory=False)
        ask_at = time.monotonic()
        while not stopping.is_set():
            if time.monotonic() >= ask_at:
                self._publish(question)
                ask_at = time.monotonic() + self._claim_again_after
            if claim.answered.wait(_LOOK_EVERY):
                return

    def _publish(self, question: OutgoingMessage) -> None:
        try:
            self._broker.publish_unconfirmed([question])
        except BrokerUnavailable as error:
            # The claim stays open: it may have been granted before, and is asked again.
            log.info("A claim waits for the broker", extra={"slot": self._number, "reason": str(error)})
