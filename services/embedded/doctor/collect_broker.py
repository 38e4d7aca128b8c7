"""What the broker says, as far as AMQP tells."""

from collections.abc import Iterable
from uuid import uuid4

from services.embedded.doctor.facts import BrokerFacts, Unreachable
from services.embedded.reach import broker_place
from shared.broker.errors import BrokerError
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import BrokerPort, Outcome, OutgoingMessage
from shared.topology import PLATFORM

_CLOSING = 1.0
"""Seconds: a broker with an alarm does not read our farewell either."""


def broker_facts(url: str, queues: Iterable[str], within: float = 5.0) -> BrokerFacts | Unreachable:
    """Look at the platform's queues and these; each question may take `within` seconds."""
    wanted = sorted({*queues, *(queue.name for queue in PLATFORM.queues)})
    broker = BlockingBroker(url, "lossline-doctor").start()
    try:
        broker.wait_connected(within)
        return BrokerFacts(broker.queue_depths(wanted, within), takes_messages(broker, within))
    except BrokerError as error:
        return Unreachable("broker", broker_place(url), str(error))
    finally:
        broker.close(_CLOSING)


def takes_messages(broker: BrokerPort, within: float) -> bool:
    """Whether messages come back that no queue is there for.

    A broker with an alarm may still read the first message of a connection before it reads no more: ask twice.
    """
    return all(_comes_back(broker, within) for _ in range(2))


def _comes_back(broker: BrokerPort, within: float) -> bool:
    (result,) = broker.publish([OutgoingMessage("", f"lossline.doctor.{uuid4().hex}", b"", persistent=False)], within)
    return result.outcome is Outcome.RETURNED
