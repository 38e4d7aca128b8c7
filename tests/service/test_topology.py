"""What services declare at a broker."""

from shared.core.plan import RECORDER_QUEUE
from shared.topology import PLATFORM, to_declare, worker_topology


def test_a_service_declares_everything_unless_the_broker_was_prepared():
    assert to_declare(PLATFORM, (), prepared=False) is PLATFORM
    nothing = to_declare(PLATFORM, (), prepared=True)
    assert (nothing.exchanges, nothing.queues, nothing.bindings) == ((), (), ())


def test_at_a_prepared_broker_it_declares_its_own_queues_with_their_bindings():
    whole = PLATFORM.merged(worker_topology("one", RECORDER_QUEUE))
    own = to_declare(whole, (RECORDER_QUEUE, "worker.one"), prepared=True)
    assert {queue.name for queue in own.queues} == {RECORDER_QUEUE, "worker.one"}
    assert [each.queue for each in own.bindings] == ["worker.one"]
    assert own.exchanges == ()
