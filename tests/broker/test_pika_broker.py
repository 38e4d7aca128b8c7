"""What only the threaded client does: batches, throughput, threads, recovery of its I/O thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from shared.broker.errors import BrokerClosed, BrokerUnavailable
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import Delivery, Outcome, OutgoingMessage, QueueDepth
from shared.broker.topology import QueueSpec, Topology
from tests.broker.waiting import wait_until

GOAL_PER_SECOND = 3000


@pytest.fixture
def broker(broker_url: str, queue_name: str) -> Iterator[BlockingBroker]:
    with BlockingBroker(broker_url, "threaded") as broker:
        broker.declare(Topology(queues=(QueueSpec(queue_name, max_priority=10),)))
        yield broker


def messages(queue: str, count: int) -> list[OutgoingMessage]:
    return [OutgoingMessage("", queue, b"%d" % n) for n in range(count)]


def take(broker: BlockingBroker, queue: str, count: int) -> list[Delivery]:
    consumer = broker.consume(queue, prefetch=count)
    taken: list[Delivery] = []
    wait_until(lambda: len(taken.__iadd__(consumer.take(count, 0.1))) >= count, what=f"{count} deliveries")
    return taken


def test_five_thousand_persistent_messages_are_confirmed_fast(
    broker: BlockingBroker,
    queue_name: str,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    batch = [OutgoingMessage("", queue_name, b"x" * 300, priority=n % 10) for n in range(5000)]
    start = time.perf_counter()

    results = broker.publish(batch, timeout=60)

    rate = len(batch) / (time.perf_counter() - start)
    record_testsuite_property("confirmed_per_second", round(rate))
    assert [r.message_id for r in results] == [m.message_id for m in batch]
    assert {r.outcome for r in results} == {Outcome.CONFIRMED}
    assert broker.queue_depths([queue_name]) == {queue_name: QueueDepth(5000, 0)}
    assert rate > GOAL_PER_SECOND


def test_outcomes_are_per_message(broker: BlockingBroker, queue_name: str) -> None:
    good, lost = OutgoingMessage("", queue_name, b""), OutgoingMessage("", "nowhere", b"")

    results = broker.publish([good, lost, good, lost])

    assert [r.outcome for r in results] == [Outcome.CONFIRMED, Outcome.RETURNED] * 2
    assert results[1].reason == "NO_ROUTE"


def test_threads_may_publish_at_the_same_time(broker: BlockingBroker, queue_name: str) -> None:
    outcomes: list[Outcome] = []

    def publish() -> None:
        outcomes.extend(r.outcome for r in broker.publish(messages(queue_name, 300)))

    threads = [threading.Thread(target=publish) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert outcomes == [Outcome.CONFIRMED] * 1500
    assert broker.queue_depths([queue_name])[queue_name].messages == 1500


def test_publishing_nothing_is_no_work(broker: BlockingBroker) -> None:
    assert broker.publish([]) == []


def test_an_unconfirmed_message_arrives(broker: BlockingBroker, queue_name: str) -> None:
    broker.publish_unconfirmed([OutgoingMessage("", queue_name, b"reply"), OutgoingMessage("", "nowhere", b"")])

    assert [d.body for d in take(broker, queue_name, 1)] == [b"reply"]


def test_take_returns_all_that_wait_up_to_the_limit(broker: BlockingBroker, queue_name: str) -> None:
    broker.publish(messages(queue_name, 10))
    consumer = broker.consume(queue_name, prefetch=10)
    wait_until(lambda: broker.queue_depths([queue_name])[queue_name].messages == 0)

    wait_until(lambda: len(consumer._buffer) == 10, what="ten deliveries in the buffer")
    assert [d.body for d in consumer.take(7, 5)] == [b"%d" % n for n in range(7)]
    assert [d.body for d in consumer.take(7, 5)] == [b"7", b"8", b"9"]
    assert consumer.take(7, 0.05) == []


def test_acknowledging_a_part_settles_exactly_that_part(
    broker: BlockingBroker, broker_url: str, queue_name: str
) -> None:
    broker.publish(messages(queue_name, 10))
    with BlockingBroker(broker_url, "partial") as other:
        consumer = other.consume(queue_name, prefetch=10)
        taken: list[Delivery] = []
        wait_until(lambda: len(taken.__iadd__(consumer.take(10, 0.1))) == 10)
        consumer.ack([taken[n] for n in (5, 0, 1, 2, 8)])

    assert sorted(d.body for d in take(broker, queue_name, 5)) == [b"3", b"4", b"6", b"7", b"9"]


def test_a_consumer_of_higher_priority_is_served_first(broker: BlockingBroker, queue_name: str) -> None:
    ordinary, preferred = broker.consume(queue_name, 5), broker.consume(queue_name, 5, priority=7)
    assert ordinary.wait_consuming(10)
    assert preferred.wait_consuming(10)

    broker.publish(messages(queue_name, 5))

    wait_until(lambda: len(preferred._buffer) == 5, what="five deliveries to the preferred consumer")
    assert ordinary.take(5, 0.05) == []


def test_a_deleted_queue_is_declared_again_and_consumed_again(broker: BlockingBroker, queue_name: str) -> None:
    consumer = broker.consume(queue_name, prefetch=5)
    assert consumer.wait_consuming(10)
    broker.publish(messages(queue_name, 1))
    [old] = consumer.take(1, 10)

    delete_queue(broker, queue_name)

    wait_until(lambda: broker.queue_depths([queue_name]) == {queue_name: QueueDepth(0, 1)}, what="a new consumer")
    consumer.ack([old])
    assert broker.publish(messages(queue_name, 1))[0].confirmed
    [new] = consumer.take(1, 10)
    consumer.ack([new])
    assert new.receipt.session != old.receipt.session


def test_a_consumer_of_a_missing_queue_starts_when_the_queue_comes(broker: BlockingBroker, queue_name: str) -> None:
    consumer = broker.consume(f"late-{queue_name}", prefetch=5)
    assert not consumer.wait_consuming(0.3)

    broker.declare(Topology(queues=(QueueSpec(f"late-{queue_name}"),)))

    assert consumer.wait_consuming(10)


def test_a_bug_on_the_io_thread_does_not_end_it(broker: BlockingBroker, queue_name: str) -> None:
    consumer = broker.consume(queue_name, prefetch=5)
    assert consumer.wait_consuming(10)

    def bug() -> None:
        raise ZeroDivisionError("injected")

    broker._io.submit(bug)

    wait_until(lambda: not broker.is_connected, what="the connection's end")
    broker.wait_connected(10)
    assert consumer.wait_consuming(10)
    assert broker.publish(messages(queue_name, 1))[0].confirmed


def test_close_ends_every_wait_and_the_thread(broker_url: str, queue_name: str) -> None:
    broker = BlockingBroker(broker_url, "closing").start()
    broker.declare(Topology(queues=(QueueSpec(queue_name),)))
    consumer = broker.consume(queue_name, prefetch=1)
    ended: list[str] = []

    def wait_for_ever() -> None:
        try:
            consumer.take(1, 60)
        except BrokerClosed as error:
            ended.append(str(error))

    waiting = threading.Thread(target=wait_for_ever)
    waiting.start()
    broker.close()
    waiting.join(5)

    assert len(ended) == 1
    assert "broker-io-closing" not in [t.name for t in threading.enumerate()]
    with pytest.raises(BrokerClosed):
        broker.consume(queue_name, 1)


def test_a_client_that_never_reached_a_broker_says_so_and_closes() -> None:
    with BlockingBroker("amqp://guest:guest@127.0.0.1:1/", "nobody") as broker:
        with pytest.raises(BrokerUnavailable, match="refused"):
            broker.wait_connected(0.5)
        with pytest.raises(BrokerUnavailable):
            broker.publish([OutgoingMessage("", "q", b"")])


def test_a_client_that_was_never_started_closes() -> None:
    BlockingBroker("amqp://guest:guest@127.0.0.1:1/", "idle").close()


def delete_queue(broker: BlockingBroker, name: str) -> None:
    """As an operator would, on the same connection, as the queue may be exclusive."""
    broker._ask([lambda channel, callback: channel.queue_delete(name, callback=callback)], 5, lambda: None)
