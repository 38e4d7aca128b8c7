"""One state of the world as nested tuples: the database, the broker, two controllers, two workers, and what is left
to go wrong.

Messages are tuples that begin with their kind. To the controllers: ("start",), ("cancel",),
("claim", worker, claim, by_token), ("report", worker, attempt, cause), and a report with its claim in one,
("turn", worker, attempt, cause, claim). To a worker: ("answer", claim, attempt, alone, token_left, settled),
("settled", attempt), ("refused", attempt), ("stop",). On the heartbeat queue: ("beat", worker, running, finished),
("canary",). In the outbox also ("token", copies). An attempt is a number, 0 is none.
"""

from typing import Any, NamedTuple

from shared.core.plan import SlotWeight
from shared.core.retries import Cause
from shared.core.states import LIVE_ATTEMPTS, AnalysisStatus, AttemptState, SubTaskState

Message = tuple[Any, ...]

DEAD = -1
"""In place of a worker's number: an incarnation that is no more."""
DONE = ""
"""In place of a cause: the attempt has completed."""
CANARY, NO_CANARY = 1, 2
"""Looks since the newest canary that came back was sent: the one of the last look, or an older one, all alike."""
ATTEMPTS_OF_ONE = 64


class SubTask(NamedTuple):
    """A row. `ended` counts attempts by cause; `accepted` counts results, which no table does."""

    stage: int
    state: SubTaskState = SubTaskState.PENDING
    newest: int = 0
    weight: SlotWeight = SlotWeight.ONE
    ended: tuple[tuple[Cause, int], ...] = ()
    accepted: int = 0


class Attempt(NamedTuple):
    """A row. `renewed` since the reaper's last look; `behind`: granted though its run was no longer active."""

    attempt: int
    state: AttemptState
    worker: int
    claim: int = 0
    renewed: bool = False
    behind: bool = False

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE_ATTEMPTS


class Running(NamedTuple):
    """An attempt in a slot: whether it has been told to stop, whether it wants the whole worker."""

    attempt: int
    stopping: bool = False
    alone: bool = False


class Worker(NamedTuple):
    """One incarnation. `claims` are the open ones, each with whether a token led to it; `token` is the unacknowledged
    one; `beaten` since the last look; `too_many` tokens are to be removed from the queue.
    """

    claims: tuple[tuple[int, bool], ...] = ()
    token: bool = False
    too_many: int = 0
    running: tuple[Running, ...] = ()
    finished: tuple[tuple[int, str], ...] = ()
    inbox: tuple[Message, ...] = ()
    draining: bool = False
    beaten: bool = False

    def holds(self, attempt: int) -> bool:
        """Whether its heartbeat would list the attempt, running or finished."""
        return any(each.attempt == attempt for each in self.running) or any(a == attempt for a, _ in self.finished)

    def asks(self, claim: int) -> bool:
        """Whether it waits for the answer to this claim."""
        return any(each == claim for each, _ in self.claims)

    @property
    def claims_by_token(self) -> bool:
        """Whether one of the open claims is by a token: only one at a time is."""
        return any(by_token for _, by_token in self.claims)

    @property
    def has_work(self) -> bool:
        """Whether its heartbeat would list anything."""
        return bool(self.running or self.finished)


class Look(NamedTuple):
    """What a controller has read for a message before its transaction has locked anything."""

    message: Message
    sub_task: int = -1
    again: int = 0
    run: int = -1


class State(NamedTuple):
    """Everything. `run` is the number of the run's facts in `Decisions`; `robbed`: see `background.given_up`."""

    run: int
    status: AnalysisStatus = AnalysisStatus.RUN_QUEUED
    sub_tasks: tuple[SubTask, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    outbox: tuple[Message, ...] = (("start",),)
    tokens: int = 0
    intake: tuple[Message, ...] = ()
    beats: tuple[Message, ...] = ()
    late: tuple[Message, ...] = ()
    looks: tuple[Look, ...] = ()
    workers: tuple[Worker, ...] = (Worker(), Worker())
    canary: int = NO_CANARY
    silent: tuple[tuple[int, int], ...] = ()
    """What the reaper's watch has seen: attempt, looks without a renewal. Empty and blind after a restart."""
    blind: bool = True
    cancelled: bool = False
    robbed: bool = False
    faults: int = 0

    def row(self, attempt: int) -> Attempt | None:
        """The row of an attempt, as long as anybody may still speak of it."""
        return next((row for row in self.attempts if row.attempt == attempt), None)

    def with_row(self, row: Attempt) -> "State":
        """With a row inserted or replaced."""
        others = [each for each in self.attempts if each.attempt != row.attempt]
        return self._replace(attempts=tuple(sorted((*others, row))))

    def with_worker(self, number: int, **values: Any) -> "State":
        """With columns of one worker replaced."""
        worker = self.workers[number]._replace(**values)
        return self._replace(workers=(*self.workers[:number], worker, *self.workers[number + 1 :]))

    def told(self, number: int, message: Message) -> "State":
        """With a message on its way to a worker; to one that is no more it goes nowhere."""
        if number == DEAD:
            return self
        return self.with_worker(number, inbox=with_one(self.workers[number].inbox, message))


def with_one(messages: tuple[Message, ...], message: Message) -> tuple[Message, ...]:
    """The messages, in no order of their own, and one more. Equal ones count once: a second says nothing new."""
    return messages if message in messages else tuple(sorted((*messages, message)))


def without(messages: tuple[Any, ...], message: Any) -> tuple[Any, ...]:
    """The messages without the first that is equal."""
    at = messages.index(message)
    return messages[:at] + messages[at + 1 :]


def claim_in(message: Message) -> int:
    """The claim that a message to the controllers makes, or 0."""
    match message:
        case ("claim", _, claim, _) | ("turn", _, _, _, claim):
            return int(claim)
    return 0


def attempt_number(sub_task: int, fence: int) -> int:
    """The attempt of a sub-task that bears this fence."""
    return (sub_task + 1) * ATTEMPTS_OF_ONE + fence


def sub_task_of(attempt: int) -> int:
    """The sub-task of an attempt (its row says so; it never changes)."""
    return attempt // ATTEMPTS_OF_ONE - 1
