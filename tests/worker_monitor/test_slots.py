"""Slots, claims, control messages and heartbeats, over a broker in memory; the test is the task controller."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event, Thread
from uuid import UUID, uuid4

import pytest

from services.worker_monitor.beats import Beats
from services.worker_monitor.control import Control
from services.worker_monitor.errors import GivenUp
from services.worker_monitor.holdings import Hold, Holdings
from services.worker_monitor.slots import Slot
from shared import names
from shared.broker.port import OutgoingMessage
from shared.core.plan import RECORDER_QUEUE, SlotWeight
from shared.core.retries import Cause
from shared.messages.catalogue import (
    AttemptRefused,
    ClaimAnswered,
    ClaimWork,
    DrainWorker,
    Grant,
    Message,
    StopRun,
    Token,
    WorkerBeat,
)
from shared.messages.envelope import decode, encode
from shared.topology import PLATFORM, worker_topology
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.worker_monitor.history import eventually

WORKER = "monitor-1"
OWN_QUEUE = names.worker_queue(WORKER)


def grant_of(run_uuid: str = "run") -> Grant:
    attempt = uuid4()
    return Grant(
        attempt_id=attempt,
        fence=1,
        lease_seconds=10.0,
        run_id=1,
        run_uuid=run_uuid,
        analysis_id=1,
        sub_task_id=1,
        step="record-input-files",
        slug="record-input-files",
        phase="files",
        chunk=None,
        chunks=None,
        weight=SlotWeight.ONE,
        key_prefix=f"analysis-1_files-run/attempt-{attempt}/",
        log_key="log",
    )


class Execution:
    """Stands for the recorder: works until it is told to end or is given up; remembers how."""

    def __init__(self) -> None:
        self.begun: list[UUID] = []
        self.ended: dict[UUID, str] = {}
        self.may_end = Event()

    def __call__(self, hold: Hold) -> None:
        self.begun.append(hold.grant.attempt_id)
        try:
            while not self.may_end.wait(0.01):
                hold.check()
        except GivenUp as error:
            self.ended[hold.grant.attempt_id] = str(error.cause)
        else:
            self.ended[hold.grant.attempt_id] = "done"


class Desk:
    """A worker with two slots, and the task controller's side of the wire."""

    def __init__(self, claim_again_after: float = 60.0) -> None:
        self.broker = MemoryBroker(MemoryServer())
        self.broker.declare(PLATFORM.merged(worker_topology(WORKER, RECORDER_QUEUE)))
        self.holdings = Holdings(2)
        self.execution = Execution()
        self.control = Control(self.broker, WORKER, self.holdings)
        self.slots = [
            Slot(number, self.broker, WORKER, self.holdings, self.execution, claim_again_after) for number in range(2)
        ]
        self.stopping, self.ending = Event(), Event()
        self._threads = [Thread(target=slot.run, args=(self.stopping,)) for slot in self.slots]
        self._threads.append(Thread(target=self.control.run, args=(self.ending,)))
        self._claims = self.broker.consume(names.TASK_CONTROLLER_QUEUE, prefetch=100)
        self._parked = self.broker.consume(names.PARKED_QUEUE, prefetch=100)
        self.beats = Beats(self.broker, WORKER, self.holdings)
        self._heartbeats = self.broker.consume(names.HEARTBEAT_QUEUE, prefetch=100)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.holdings.drain(0.0)
        for thread in self._threads[:-1]:
            thread.join(10)
        self.ending.set()
        self._threads[-1].join(10)
        self.broker.close()

    def tokens(self, count: int) -> None:
        self.send(RECORDER_QUEUE, *[Token(RECORDER_QUEUE)] * count)

    def send(self, queue: str, *messages: Message) -> None:
        self.broker.publish([OutgoingMessage("", queue, encode(message)) for message in messages])

    def claim(self) -> ClaimWork:
        (delivery,) = self._claims.take(1, timeout=5.0)
        message = decode(delivery.body)
        assert isinstance(message, ClaimWork)
        return message

    def no_claim(self) -> bool:
        return self._claims.take(1, timeout=0.3) == []

    def answer(self, claim: ClaimWork, grant: Grant | None) -> None:
        self.send(OWN_QUEUE, ClaimAnswered(claim.claim_id, grant))

    def held(self) -> Grant:
        """Let one slot hold an attempt."""
        self.tokens(1)
        grant = grant_of(f"run-{uuid4().hex}")
        self.answer(self.claim(), grant)
        eventually(lambda: grant.attempt_id in self.execution.begun)
        return grant

    def beat(self) -> WorkerBeat:
        self.beats.send()
        (delivery,) = self._heartbeats.take(1, timeout=1.0)
        message = decode(delivery.body)
        assert isinstance(message, WorkerBeat)
        return message

    def waiting_tokens(self) -> int:
        return self.broker.queue_depths([RECORDER_QUEUE])[RECORDER_QUEUE].messages

    def parked(self) -> list[bytes]:
        return [delivery.body for delivery in self._parked.take(10, timeout=1.0)]

    def unsettled(self) -> int:
        return sum(len(slot.consumer.subscription.unsettled) for slot in self.slots)  # type: ignore[attr-defined]


@pytest.fixture
def make_desk() -> Iterator[Callable[..., Desk]]:
    """Desks that have been started; they are stopped at the end."""
    desks: list[Desk] = []

    def make(**options: float) -> Desk:
        desks.append(Desk(**options))
        desks[-1].start()
        return desks[-1]

    yield make
    for desk in desks:
        desk.stop()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """One desk."""
    return make_desk()


def test_a_token_leads_to_a_claim_and_its_grant_is_executed_once(desk: Desk) -> None:
    desk.execution.may_end.set()
    desk.tokens(1)
    claim, grant = desk.claim(), grant_of()
    assert (claim.worker_id, claim.queue) == (WORKER, RECORDER_QUEUE)

    desk.answer(claim, grant)
    desk.answer(claim, grant)

    eventually(lambda: desk.execution.ended == {grant.attempt_id: "done"})
    eventually(lambda: desk.unsettled() == 0)
    assert desk.execution.begun == [grant.attempt_id]
    assert desk.holdings.held() == []


def test_nothing_to_do_ends_the_token(desk: Desk) -> None:
    desk.tokens(1)

    desk.answer(desk.claim(), None)

    eventually(lambda: desk.unsettled() == 0)
    assert desk.waiting_tokens() == 0
    assert desk.execution.begun == []


def test_the_same_claim_is_repeated_until_it_is_answered(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(claim_again_after=0.2)
    desk.tokens(1)

    first, second, third = desk.claim(), desk.claim(), desk.claim()
    desk.answer(second, None)

    assert first == second == third
    eventually(lambda: desk.unsettled() == 0)


def test_busy_slots_leave_tokens_to_other_workers(desk: Desk) -> None:
    desk.held()
    desk.held()

    desk.tokens(3)

    assert desk.waiting_tokens() == 3
    assert desk.no_claim()
    desk.execution.may_end.set()
    desk.claim()


def test_heartbeats_list_what_is_held_and_how_many_slots_are_free(desk: Desk) -> None:
    grant = desk.held()

    beat = desk.beat()

    assert [each.attempt_id for each in beat.running] == [grant.attempt_id]
    assert (beat.worker_id, beat.queue, beat.slots, beat.free_slots) == (WORKER, RECORDER_QUEUE, 2, 1)
    desk.execution.may_end.set()
    eventually(lambda: desk.beat().running == ())


def test_a_stopped_run_ends_its_attempts_and_no_others(desk: Desk) -> None:
    stopped, other = desk.held(), desk.held()

    desk.broker.publish([OutgoingMessage(names.CONTROL_EXCHANGE, "", encode(StopRun(stopped.run_uuid)))])

    eventually(lambda: desk.execution.ended == {stopped.attempt_id: Cause.CANCELLED})
    assert [hold.grant.attempt_id for hold in desk.holdings.held()] == [other.attempt_id]


def test_a_run_that_is_stopped_right_after_the_grant_is_not_missed(desk: Desk) -> None:
    desk.tokens(1)
    claim, grant = desk.claim(), grant_of()

    desk.send(OWN_QUEUE, ClaimAnswered(claim.claim_id, grant), StopRun(grant.run_uuid))

    eventually(lambda: desk.execution.ended == {grant.attempt_id: Cause.CANCELLED})


def test_a_refused_attempt_ends_without_a_report(desk: Desk) -> None:
    grant = desk.held()

    desk.send(OWN_QUEUE, AttemptRefused(grant.attempt_id, "a newer attempt has been granted"))

    eventually(lambda: desk.execution.ended == {grant.attempt_id: "None"})


def test_an_answer_to_a_claim_that_nobody_waits_for_is_not_held(desk: Desk) -> None:
    desk.send(OWN_QUEUE, ClaimAnswered(uuid4(), grant_of()), DrainWorker("another"))
    desk.held()

    assert len(desk.holdings.held()) == 1


def test_a_token_whose_claim_is_open_when_the_worker_stops_goes_back(desk: Desk) -> None:
    desk.tokens(1)
    desk.claim()

    desk.stopping.set()

    eventually(lambda: desk.waiting_tokens() == 1)


def test_draining_lets_attempts_finish_within_the_grace_and_then_hands_them_back(desk: Desk) -> None:
    grant = desk.held()

    draining = Thread(target=desk.holdings.drain, args=(0.3,))
    draining.start()
    eventually(lambda: desk.beat().draining)
    assert desk.execution.ended == {}
    draining.join(10)

    eventually(lambda: desk.execution.ended == {grant.attempt_id: Cause.DRAINED})


def test_a_grant_that_arrives_while_draining_is_handed_back_at_once(desk: Desk) -> None:
    desk.tokens(1)
    claim, grant = desk.claim(), grant_of()
    desk.holdings.drain(0.0)

    desk.answer(claim, grant)

    eventually(lambda: desk.execution.ended == {grant.attempt_id: Cause.DRAINED})


def test_what_is_no_token_is_parked_and_the_next_token_is_served(desk: Desk) -> None:
    desk.broker.publish([OutgoingMessage("", RECORDER_QUEUE, b'{"task": "run_register_worker_v2"}')])
    desk.tokens(1)

    desk.answer(desk.claim(), None)

    assert desk.parked() == [b'{"task": "run_register_worker_v2"}']


def test_an_unreadable_control_message_is_parked_and_the_next_is_heard(desk: Desk) -> None:
    grant = desk.held()
    desk.broker.publish([OutgoingMessage("", OWN_QUEUE, b"?")])

    desk.send(OWN_QUEUE, AttemptRefused(grant.attempt_id, "no"))

    eventually(lambda: grant.attempt_id in desk.execution.ended)
    assert desk.parked() == [b"?"]


def test_a_hold_keeps_the_first_reason_to_end() -> None:
    hold = Hold(replace(grant_of(), step="record-losses-files"))
    hold.check()

    hold.give_up(Cause.CANCELLED)
    hold.give_up(Cause.DRAINED)

    with pytest.raises(GivenUp) as raised:
        hold.check()
    assert raised.value.cause is Cause.CANCELLED
