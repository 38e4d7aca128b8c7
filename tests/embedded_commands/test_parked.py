"""The parking queue: looked at in order, replayed without loss, dropped; on RabbitMQ and on the fake."""

from __future__ import annotations

import pytest

from services.embedded.parked import AmbiguousParked, NoSuchParked, ParkedMessage, ParkedMessages, select
from shared import names
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import BrokerPort, Delivery, OutgoingMessage, Receipt
from shared.broker.topology import QueueSpec, Topology
from shared.messages.catalogue import Token
from shared.messages.envelope import encode
from shared.messages.parking import parked
from shared.topology import PLATFORM
from tests.embedded_commands.conftest import parked_left
from tests.embedded_commands.waiting import eventually

ELSEWHERE = "elsewhere"
ORIGIN = Topology(queues=(QueueSpec(ELSEWHERE, max_priority=10),))
pytestmark = pytest.mark.integration


def delivered(message_id: str | None, body: bytes = b"{", **headers: str) -> Delivery:
    return Delivery(body, names.PARKED_QUEUE, headers, 0, False, message_id, None, None, Receipt(1, 1))


def park(broker: BrokerPort, *bodies: bytes, queue: str = ELSEWHERE, priority: int = 0) -> None:
    """Park messages as services do; their ids are id-0, id-1, …"""
    for number, body in enumerate(bodies):
        original = Delivery(body, queue, {"outbox": "5"}, priority, False, f"id-{number}", None, None, Receipt(1, 1))
        (result,) = broker.publish([parked(body, queue, f"reason {number}", original)])
        assert result.confirmed


def bodies_of(broker: BrokerPort) -> list[bytes]:
    with ParkedMessages(broker, patience=0.2) as held:
        return [message.delivery.body for message in held.messages]


@pytest.fixture
def elsewhere(broker: BrokerPort) -> None:
    """A queue that parked messages came from."""
    broker.declare(ORIGIN)


def arrived(broker: BrokerPort) -> list[Delivery]:
    """What is on that queue; it stays there until the connection ends."""
    consumer = broker.consume(ELSEWHERE, prefetch=50)
    found: list[Delivery] = []
    depth = broker.queue_depths([ELSEWHERE])[ELSEWHERE].messages
    eventually(lambda: found.extend(consumer.take(50, 0.1)) or len(found) >= depth, "all of them were delivered")
    return found


def test_nothing_is_parked_on_a_new_broker(broker: BrokerPort) -> None:
    with ParkedMessages(broker) as held:
        assert (held.total, held.messages) == (0, ())


def test_a_broker_without_the_queue_has_nothing_parked(rabbit_url: str) -> None:
    with BlockingBroker(rabbit_url, "tests") as bare:
        bare.wait_connected(10)
        with ParkedMessages(bare) as held:
            assert (held.total, held.messages) == (0, ())


def test_looking_keeps_the_messages_and_their_order(broker: BrokerPort) -> None:
    # Given parked messages
    bodies = [b"%d" % number for number in range(20)]
    park(broker, *bodies)
    # When they are looked at again and again
    looks = [bodies_of(broker) for _ in range(3)]
    # Then each look sees all of them, in their order, and they stay
    assert looks == [bodies] * 3
    eventually(lambda: parked_left(broker) == 20, "all went back")


def test_a_look_at_some_says_how_many_there_are(broker: BrokerPort) -> None:
    park(broker, b"0", b"1", b"2")
    with ParkedMessages(broker, limit=2) as held:
        assert [message.delivery.body for message in held.messages] == [b"0", b"1"]
        assert held.total == 3
    assert bodies_of(broker) == [b"0", b"1", b"2"]


def test_what_is_known_of_a_message_is_told(broker: BrokerPort) -> None:
    body = encode(Token("q"))
    park(broker, body, b"\xff{", b"[1]", b'{"type": 5}')
    with ParkedMessages(broker) as held:
        first = held.messages[0]
        assert (first.number, first.message_id, first.queue, first.reason) == (1, "id-0", ELSEWHERE, "reason 0")
        assert (first.kind, first.size) == ("Token", len(body))
        assert first.body_text().splitlines()[1] == '  "type": "Token",'
        assert [message.kind for message in held.messages[1:]] == ["", "", ""]
        assert held.messages[1].body_text() == "\\xff{"


def test_a_replayed_message_is_where_it_was_as_it_was(broker: BrokerPort, elsewhere: None) -> None:
    # Given parked messages
    park(broker, b"0", b"1", b"2", priority=7)
    # When one is replayed
    with ParkedMessages(broker) as held:
        (replay,) = held.replay(held.select(["2"]))
    # Then it is on its queue with all it had, and the others are parked
    assert replay.problem == ""
    assert bodies_of(broker) == [b"0", b"2"]
    (again,) = arrived(broker)
    assert (again.body, again.message_id, again.priority, again.headers) == (b"1", "id-1", 7, {"outbox": "5"})


def test_all_are_replayed_in_their_order(broker: BrokerPort, elsewhere: None) -> None:
    park(broker, b"0", b"1", b"2")
    with ParkedMessages(broker) as held:
        assert [replay.problem for replay in held.replay(held.messages)] == ["", "", ""]
    assert [delivery.body for delivery in arrived(broker)] == [b"0", b"1", b"2"]
    eventually(lambda: parked_left(broker) == 0, "none is left")


def test_a_message_whose_queue_is_gone_stays_parked(broker: BrokerPort, elsewhere: None) -> None:
    park(broker, b"0", queue="worker.gone")
    park(broker, b"1")
    with ParkedMessages(broker) as held:
        first, second = held.replay(held.messages)
    assert "there is no queue worker.gone" in first.problem
    assert second.problem == ""
    assert bodies_of(broker) == [b"0"]


def test_a_message_that_does_not_say_where_it_came_from_stays_parked(broker: BrokerPort) -> None:
    broker.publish([OutgoingMessage("", names.PARKED_QUEUE, b"0")])
    with ParkedMessages(broker) as held:
        (replay,) = held.replay(held.messages)
    assert "does not say which queue" in replay.problem
    assert bodies_of(broker) == [b"0"]


def test_a_message_that_is_parked_anew_at_once_is_replayed_once(broker: BrokerPort) -> None:
    # Given a message whose queue is, in effect, the parking queue
    park(broker, b"0", queue=names.PARKED_QUEUE)
    # When all are replayed
    with ParkedMessages(broker) as held:
        assert len(held.replay(held.messages)) == 1
    # Then it is there once, and the command has ended
    assert bodies_of(broker) == [b"0"]


def test_a_dropped_message_is_gone_and_the_others_stay_in_order(broker: BrokerPort) -> None:
    park(broker, b"0", b"1", b"2", b"3")
    with ParkedMessages(broker) as held:
        held.drop(held.select(["id-2", "1"]))
    assert bodies_of(broker) == [b"1", b"3"]


def test_an_error_in_between_loses_nothing(broker: BrokerPort) -> None:
    park(broker, b"0", b"1")
    with pytest.raises(NoSuchParked), ParkedMessages(broker) as held:
        held.drop(held.select(["1", "17"]))
    assert bodies_of(broker) == [b"0", b"1"]


def test_two_that_look_at_once_never_have_the_same_message(broker: BrokerPort) -> None:
    park(broker, b"0", b"1")
    with ParkedMessages(broker) as first, ParkedMessages(broker, patience=0.1) as second:
        assert len(first.messages) == 2
        assert second.messages == ()
    assert bodies_of(broker) == [b"0", b"1"]


def test_a_command_that_dies_loses_nothing(rabbit_url: str) -> None:
    with BlockingBroker(rabbit_url, "tests") as broker, BlockingBroker(rabbit_url, "dying") as dying:
        broker.declare(PLATFORM.merged(ORIGIN))
        dying.wait_connected(10)
        park(broker, b"0", b"1")
        # Given a command that holds what is parked, and has replayed one of two
        held = ParkedMessages(dying).__enter__()
        assert held.replay(held.select(["1"]))[0].problem == ""
        # When its connection ends without a word about the other
        dying.close()
        # Then the other is still parked
        eventually(lambda: parked_left(broker) == 1, "the broker has it back")
        assert bodies_of(broker) == [b"1"]


@pytest.mark.parametrize(
    ("which", "numbers"),
    [("1", [1]), ("3", [3]), ("abcd", [1]), ("abcd-1", [1]), ("ff00ff00", [2, 4]), ("12345678", [3])],
)
def test_messages_are_found_by_number_id_or_its_beginning(which: str, numbers: list[int]) -> None:
    ids = ["abcd-1", "ff00ff00", "123456789", "ff00ff00"]
    messages = [ParkedMessage(number, delivered(each)) for number, each in enumerate(ids, 1)]
    assert [message.number for message in select(messages, which)] == numbers


@pytest.mark.parametrize("which", ["0", "4", "zzzz", "abc", ""])
def test_what_is_not_there_is_named(which: str) -> None:
    messages = [ParkedMessage(number, delivered(each)) for number, each in enumerate(["abcd-1", None, "xyzt"], 1)]
    with pytest.raises(NoSuchParked, match=f"'{which}'.*there are 3.*parked list"):
        select(messages, which)


def test_a_beginning_of_several_ids_is_refused() -> None:
    messages = [ParkedMessage(number, delivered(each)) for number, each in enumerate(["abcd-1", "abcd-2"], 1)]
    with pytest.raises(AmbiguousParked, match="abcd-1, abcd-2"):
        select(messages, "abcd")
