"""Back-off, acknowledgement steps, confirmations and topologies: no broker needed."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.model_worker.settings import Settings as ModelWorker
from services.task_controller.settings import Settings as TaskController
from shared.broker.confirms import ConfirmBook
from shared.broker.delays import CAP, START, backoff
from shared.broker.port import Outcome, OutgoingMessage
from shared.broker.settling import Step, settle
from shared.broker.topology import BindingSpec, ExchangeSpec, QueueSpec, Topology


def test_delays_are_drawn_below_a_bound_that_doubles_up_to_the_cap() -> None:
    bounds = list(islice(backoff(uniform=lambda low, high: high if low == 0.0 else -1.0), 6))

    assert bounds == [0.2, 0.4, 0.8, 1.6, CAP, CAP]
    assert bounds[0] == START


def test_a_worker_is_back_long_before_its_leases_could_end() -> None:
    assert 2 * CAP + ModelWorker.beat_every < TaskController.lease


def test_delays_are_jittered() -> None:
    assert len(set(islice(backoff(), 20))) > 10
    assert all(0 <= delay <= CAP for delay in islice(backoff(), 100))


@pytest.mark.parametrize(
    ("outstanding", "tags", "steps", "left"),
    [
        ([1, 2, 3], [1, 2, 3], [Step(3, multiple=True)], []),
        ([1, 2, 3], [2, 1], [Step(2, multiple=True)], [3]),
        ([1, 2, 3], [1], [Step(1, multiple=False)], [2, 3]),
        ([1, 2, 3], [2, 3], [Step(2, multiple=False), Step(3, multiple=False)], [1]),
        ([2, 5, 6, 9], [2, 5, 9], [Step(5, multiple=True), Step(9, multiple=False)], [6]),
        ([4], [1, 2], [], [4]),
        ([], [1], [], []),
    ],
)
def test_settling_uses_multiple_only_when_nothing_else_lies_below(
    outstanding: list[int], tags: list[int], steps: list[Step], left: list[int]
) -> None:
    open_tags = dict.fromkeys(outstanding)

    assert settle(open_tags, tags) == steps
    assert list(open_tags) == left


@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)))
def test_the_steps_settle_exactly_the_wanted_tags_at_the_broker(delivered: set[int], wanted: set[int]) -> None:
    at_the_broker = sorted(delivered)
    for step in settle(dict.fromkeys(sorted(delivered)), wanted):
        assert step.tag in at_the_broker, "the broker closes the channel for an unknown tag"
        at_the_broker = [t for t in at_the_broker if (t > step.tag if step.multiple else t != step.tag)]

    assert set(at_the_broker) == delivered - wanted


def sent(book: ConfirmBook, outcomes: dict[str, Outcome], *names: str, exchange: str = "") -> None:
    for name in names:
        note = OutgoingMessage(exchange, "key", b"", message_id=name)
        book.sent(note, lambda outcome, _reason, name=name: outcomes.setdefault(name, outcome))


def test_one_ack_with_multiple_confirms_all_up_to_it() -> None:
    book, outcomes = ConfirmBook(), dict[str, Outcome]()
    sent(book, outcomes, "a", "b", "c")

    book.acked(2, multiple=True)

    assert outcomes == {"a": Outcome.CONFIRMED, "b": Outcome.CONFIRMED}
    assert len(book) == 1


def test_a_returned_message_stays_returned_when_its_ack_follows() -> None:
    book, outcomes = ConfirmBook(), dict[str, Outcome]()
    sent(book, outcomes, "a", "b", "c")

    book.returned("b", "", "key", "NO_ROUTE")
    book.acked(3, multiple=True)

    assert outcomes == {"a": Outcome.CONFIRMED, "b": Outcome.RETURNED, "c": Outcome.CONFIRMED}


def test_two_returns_of_one_identifier_are_two_messages() -> None:
    book, outcomes = ConfirmBook(), list[Outcome]()
    for _ in range(2):
        book.sent(OutgoingMessage("", "key", b"", message_id="same"), lambda outcome, _reason: outcomes.append(outcome))

    book.returned("same", "", "key", "NO_ROUTE")
    book.returned("same", "", "key", "NO_ROUTE")
    book.acked(2, multiple=True)

    assert outcomes == [Outcome.RETURNED, Outcome.RETURNED]


def test_a_nack_refuses_and_a_loss_leaves_unknown() -> None:
    book, outcomes = ConfirmBook(), dict[str, Outcome]()
    sent(book, outcomes, "a", "b")

    book.nacked(1, multiple=False)
    book.lost("connection reset")

    assert outcomes == {"a": Outcome.NACKED, "b": Outcome.UNKNOWN}
    assert len(book) == 0


def test_a_channel_lost_for_a_missing_exchange_blames_only_its_messages() -> None:
    book, outcomes = ConfirmBook(), dict[str, Outcome]()
    sent(book, outcomes, "good", exchange="good")
    sent(book, outcomes, "bad", exchange="bad")

    book.lost("NOT_FOUND - no exchange 'bad' in vhost '/'")

    assert outcomes == {"good": Outcome.UNKNOWN, "bad": Outcome.RETURNED}


def test_topologies_merge_by_name_and_the_later_one_wins() -> None:
    old = Topology((ExchangeSpec("x"),), (QueueSpec("q"), QueueSpec("r")), (BindingSpec("q", "x", "k"),))
    new = Topology(queues=(QueueSpec("q", max_priority=10),), bindings=(BindingSpec("q", "x", "k"),))

    merged = old.merged(new)

    assert merged.exchanges == (ExchangeSpec("x"),)
    assert merged.queues == (QueueSpec("q", max_priority=10), QueueSpec("r"))
    assert merged.bindings == (BindingSpec("q", "x", "k"),)


def test_the_topology_of_a_queue_is_what_the_queue_needs() -> None:
    whole = Topology(
        exchanges=(ExchangeSpec("x"), ExchangeSpec("y")),
        queues=(QueueSpec("q"), QueueSpec("r")),
        bindings=(BindingSpec("q", "x", "k"), BindingSpec("r", "y", "k")),
    )

    assert whole.of_queue("q") == Topology((ExchangeSpec("x"),), (QueueSpec("q"),), (BindingSpec("q", "x", "k"),))


def test_the_priority_levels_of_a_queue_are_an_argument() -> None:
    queue = QueueSpec("q", max_priority=10, arguments={"x-queue-mode": "lazy"})

    assert queue.declare_arguments == {"x-queue-mode": "lazy", "x-max-priority": 10}
    assert QueueSpec("q").declare_arguments == {}


@pytest.mark.parametrize(
    "wrong", [{"routing_key": "ü" * 128}, {"priority": 256}, {"priority": -1}, {"headers": {"h" * 256: "v"}}]
)
def test_what_amqp_cannot_carry_is_refused_where_it_is_made(wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"exchange": "", "routing_key": "q", "body": b"", **wrong}

    with pytest.raises(ValueError, match=r"longer than 255 bytes|0 to 255"):
        OutgoingMessage(**fields)  # type: ignore[arg-type]
