"""A message that is parked can be replayed as it was."""

import pytest

from shared import names
from shared.broker.port import Delivery, OutgoingMessage, Receipt
from shared.messages.parking import parked, unparked


def delivery(body: bytes = b"{", **more: object) -> Delivery:
    """A delivery as it came to a service."""
    values = {"headers": {"outbox": "7"}, "priority": 8, "message_id": "m-1", "correlation_id": "c", "reply_to": "r"}
    return Delivery(body=body, routing_key="q", redelivered=False, receipt=Receipt(1, 1), **(values | more))


def as_delivered(message: OutgoingMessage) -> Delivery:
    """What arrives of a published message."""
    return delivery(
        message.body,
        headers=message.headers,
        priority=message.priority,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
    )


def test_a_parked_message_keeps_what_it_came_with() -> None:
    original = delivery()
    message = parked(original.body, "task-controller", "not JSON", original)
    assert message.headers == {"outbox": "7", "queue": "task-controller", "reason": "not JSON"}
    assert (message.routing_key, message.message_id, message.priority) == (names.PARKED_QUEUE, "m-1", 8)
    assert (message.correlation_id, message.reply_to) == ("c", "r")


def test_it_goes_back_as_it_was() -> None:
    # Given a message that was parked
    original = delivery()
    # When it is replayed
    again = unparked(as_delivered(parked(original.body, "task-controller", "not JSON", original)))
    # Then it goes where it was, as it was, and must reach the queue
    assert again is not None
    assert (again.exchange, again.routing_key, again.body) == ("", "task-controller", original.body)
    assert (again.message_id, again.priority, again.headers) == ("m-1", 8, {"outbox": "7"})
    assert (again.correlation_id, again.reply_to, again.mandatory, again.persistent) == ("c", "r", True, True)


def test_a_message_without_an_id_gets_one() -> None:
    message = parked(b"{", "q", "why", delivery(message_id=None))
    assert message.message_id
    again = unparked(delivery(headers={"queue": "q"}, message_id=None))
    assert again is not None
    assert again.message_id


@pytest.mark.parametrize("headers", [{}, {"reason": "why"}, {"queue": ""}])
def test_without_a_queue_it_goes_nowhere(headers: dict[str, str]) -> None:
    assert unparked(delivery(headers=headers)) is None


def test_neither_reason_nor_headers_make_it_too_large_to_be_parked() -> None:
    headers = {"long": "x" * 5000} | {f"h{number}": "x" * 900 for number in range(200)}
    message = parked(b"{", "q", "y" * 100_000, delivery(headers=headers))
    size = sum(len(name) + len(value) for name, value in message.headers.items())
    assert size < 64 * 1024
    assert "long" not in message.headers
    assert message.headers["reason"] == "y" * 1000


def test_a_reason_that_is_no_text_is_written_so_that_it_can_be_sent() -> None:
    assert parked(b"{", "q", "bad \ud800").headers["reason"] == "bad \\ud800"


def test_the_header_of_an_earlier_parking_gives_way() -> None:
    earlier = delivery(headers={"queue": "old", "reason": "old"})
    assert parked(b"{", "q", "new", earlier).headers == {"queue": "q", "reason": "new"}
