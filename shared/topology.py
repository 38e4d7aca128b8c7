"""The exchanges and queues of Lossline, as data."""

from collections.abc import Collection

from shared import names
from shared.broker.topology import BindingSpec, ExchangeSpec, QueueSpec, Topology
from shared.core.plan import RECORDER_QUEUE

MAX_PRIORITY = 10

PLATFORM = Topology(
    exchanges=(ExchangeSpec(names.CONTROL_EXCHANGE, "fanout"),),
    queues=(
        QueueSpec(names.TASK_CONTROLLER_QUEUE),
        QueueSpec(names.HEARTBEAT_QUEUE, arguments={"x-message-ttl": 30_000}),
        QueueSpec(names.MONITOR_QUEUE),
        QueueSpec(names.PARKED_QUEUE),
        QueueSpec(RECORDER_QUEUE, max_priority=MAX_PRIORITY),
    ),
)
"""What every service declares at start. Heartbeats older than 30 s say nothing any more."""


def to_declare(whole: Topology, own: Collection[str], *, prepared: bool) -> Topology:
    """What a service declares at start: all that it needs, or, at a broker that was prepared, its own queues alone.

    Declaring a queue takes the right to delete it. `lossline prepare` and the task controller make what is everybody's.
    """
    if not prepared:
        return whole
    queues = tuple(queue for queue in whole.queues if queue.name in own)
    return Topology(queues=queues, bindings=tuple(each for each in whole.bindings if each.queue in own))


def work_queue(name: str) -> QueueSpec:
    """A queue of tokens: durable, with priorities, never deleted by us."""
    return QueueSpec(name, max_priority=MAX_PRIORITY)


def worker_topology(worker_id: str, queue: str) -> Topology:
    """What a worker declares: its tokens' queue, and its own queue for answers and control messages."""
    own = names.worker_queue(worker_id)
    return Topology(
        exchanges=PLATFORM.exchanges,
        queues=(work_queue(queue), QueueSpec(own, durable=False, exclusive=True, auto_delete=True)),
        bindings=(BindingSpec(own, names.CONTROL_EXCHANGE),),
    )
