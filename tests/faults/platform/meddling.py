"""Messages lost, doubled and out of order, on a real broker: somebody reads the queues before their owners do.

RabbitMQ serves a consumer of higher priority first. The meddler takes all that comes for a moment, and then gives back
some of it, some of it twice, in another order. Queues of single workers are exclusive and out of its reach: answers to
workers are lost on their wires instead.
"""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pika

from shared import names
from shared.core.plan import RECORDER_QUEUE
from tests.faults.platform.platform import BrokenPlatform

_FIRST = {"x-priority": 10}


@dataclass
class Meddler:
    """Bursts of so many seconds; of what was taken, each message is lost or doubled with these chances."""

    seed: int
    bursts: int = 3
    seconds: float = 0.5
    lost: float = 0.3
    doubled: float = 0.4
    taken: list[tuple[str, Any, bytes]] = field(default_factory=list)

    def meddle(self, platform: BrokenPlatform) -> None:
        """Blocks for all bursts. A broker that is away has no messages to meddle with."""
        queues = (names.TASK_CONTROLLER_QUEUE, names.HEARTBEAT_QUEUE, RECORDER_QUEUE, platform.queue)
        with suppress(pika.exceptions.AMQPError):
            connection = pika.BlockingConnection(pika.URLParameters(platform.broker.url))
            channel = connection.channel()
            for burst in range(self.bursts):
                self._take(connection, channel, queues)
                chance = random.Random(f"{self.seed}-{burst}")  # noqa: S311 - to be repeated, not to be secret
                self._give_back(channel, chance)
            connection.close()

    def _take(self, connection: Any, channel: Any, queues: Sequence[str]) -> None:
        tags = [channel.basic_consume(queue, self._keep(queue), arguments=_FIRST) for queue in queues]
        connection.process_data_events(time_limit=self.seconds)
        for tag in tags:
            channel.basic_cancel(tag)

    def _keep(self, queue: str) -> Any:
        def keep(channel: Any, method: Any, properties: Any, body: bytes) -> None:
            self.taken.append((queue, properties, body))
            channel.basic_ack(method.delivery_tag)

        return keep

    def _give_back(self, channel: Any, chance: random.Random) -> None:
        chance.shuffle(self.taken)
        for queue, properties, body in self.taken:
            copies = 0 if chance.random() < self.lost else 2 if chance.random() < self.doubled else 1
            for _ in range(copies):
                channel.basic_publish("", queue, body, properties)
        self.taken.clear()
