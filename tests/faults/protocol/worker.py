"""The workers' side: tokens, claims, attempts, reports and what they are told. One that is gone is replaced at once.

A crash inside of a step leaves what a crash before or after it leaves: what a worker knows dies with it.
"""

from collections.abc import Iterator

from shared.core.retries import Cause
from tests.faults.protocol.decisions import Decisions
from tests.faults.protocol.state import DEAD, DONE, Message, Running, State, Worker, with_one, without
from tests.faults.protocol.stories import attempt_name, message_name

Step = tuple[str, State]


def take_token(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._claim_work, to the first saying of the claim."""
    if not state.tokens:
        return
    for number, worker in enumerate(state.workers):
        if worker.claim or worker.draining or not _may_claim(decisions, worker):
            continue
        claim = _new_claim(state)
        taken = state._replace(tokens=state.tokens - 1, intake=with_one(state.intake, ("claim", number, claim)))
        token = decisions.setup.rules.acks_token_after_answer
        if state.faults:
            gone = state._replace(tokens=state.tokens - (not token), faults=state.faults - 1)
            yield f"worker {number} takes a token and dies before it says a claim", replaced(gone, number)
        yield (
            f"worker {number} takes a token and says claim {claim}",
            taken.with_worker(number, claim=claim, token=token),
        )


def claim_again(_: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._claim: the same again while there is no answer.

    Said again while the first is still on its way, it says nothing new: messages that are equal count once.
    """
    for number, worker in enumerate(state.workers):
        message = ("claim", number, worker.claim)
        under_way = any(look.message == message for look in state.looks)
        answered = any(each[0] == "answer" for each in worker.inbox)
        if worker.claim and not under_way and not answered and message not in state.intake:
            yield (
                f"worker {number} says claim {worker.claim} again",
                state._replace(intake=with_one(state.intake, message)),
            )


def obey(_: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/control.py:HANDLERS, and the end of _claim_work for an answer."""
    for number, worker in enumerate(state.workers):
        for message in worker.inbox:
            read = state.with_worker(number, inbox=without(worker.inbox, message))
            label = f"worker {number} hears {message_name(message)}"
            yield label, obeyed(read, number, message)
            if state.faults:
                doubled = obeyed(state, number, message)._replace(faults=state.faults - 1)
                yield f"{label}, and will again", doubled


def finish(_: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._execute: a running attempt ends, is listed as finished and said.

    One that wants the whole worker begins, and so ends, only alone (slots.py:Slots.wait_turn).
    """
    for number, worker in enumerate(state.workers):
        for each in worker.running:
            if each.stopping:
                yield _finished(state, number, each, Cause.CANCELLED)
            elif not each.alone or len(worker.running) == 1:
                yield _finished(state, number, each, DONE)


def hand_back(_: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._drain: what does not finish in time is handed back."""
    for number, worker in enumerate(state.workers):
        for each in worker.running:
            if worker.draining and not each.stopping:
                yield _finished(state, number, each, Cause.DRAINED)


def leave(_: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._drain: gives up on a late answer, exits when all is settled."""
    for number, worker in enumerate(state.workers):
        if worker.draining and worker.claim:
            yield f"worker {number} waits no longer for an answer", state.with_worker(number, claim=0)
        elif worker.draining and not worker.has_work:
            yield f"worker {number} has drained and exits; another takes its place", replaced(state, number)


def heartbeat(decisions: Decisions, number: int, worker: Worker) -> Message:
    """services/model_worker/supervisor.py:Supervisor._heartbeat."""
    finished = worker.finished if decisions.setup.rules.repeats_finished else ()
    return ("beat", number, tuple(each.attempt for each in worker.running), finished)


def fail(_: Decisions, state: State) -> Iterator[Step]:
    """What may end an attempt without a result, each counted as a fault."""
    for number, worker in enumerate(state.workers):
        for each in worker.running:
            for cause in (Cause.MODEL_ERROR, Cause.STORAGE, Cause.OUT_OF_MEMORY):
                if not each.stopping:
                    label, after = _finished(state, number, each, cause)
                    yield label, after


def replaced(state: State, number: int) -> State:
    """A process is gone: its messages speak for nobody, its token goes back, its successor has a new identity."""
    worker = state.workers[number]
    dead = state.with_worker(number, **Worker()._asdict())
    return _forgotten(dead._replace(tokens=dead.tokens + worker.token), number)


def _forgotten(state: State, number: int) -> State:
    """What is under way of a worker is now of a dead one."""

    def renamed(message: Message) -> Message:
        return (message[0], -1, *message[2:]) if message[1:2] == (number,) and message[0] != "canary" else message

    return state._replace(
        intake=tuple(sorted({renamed(each) for each in state.intake})),
        beats=tuple(renamed(each) for each in state.beats),
        late=tuple(sorted({renamed(each) for each in state.late})),
        looks=tuple(sorted(look._replace(message=renamed(look.message)) for look in state.looks)),
        attempts=tuple(row._replace(worker=-1) if row.worker == number else row for row in state.attempts),
    )


def _may_claim(decisions: Decisions, worker: Worker) -> bool:
    """services/model_worker/slots.py:Slots.free."""
    if not decisions.setup.rules.waits_for_slot:
        return len(worker.running) <= decisions.setup.slots
    return len(worker.running) < decisions.setup.slots and not any(each.alone for each in worker.running)


def _new_claim(state: State) -> int:
    """An id that nobody has in hand; a UUID in the service."""
    used = {row.claim for row in state.attempts} | {worker.claim for worker in state.workers}
    used |= {message[2] for message in state.intake if message[0] == "claim"}
    used |= {look.message[2] for look in state.looks if look.message[0] == "claim"}
    return next(number for number in range(1, 99) if number not in used)


def _finished(state: State, number: int, running: Running, cause: str) -> Step:
    worker = state.workers[number]
    after = state.with_worker(
        number,
        running=without(worker.running, running),
        finished=tuple(sorted((*worker.finished, (running.attempt, cause)))),
    )
    report = ("report", number, running.attempt, cause)
    said = after._replace(intake=with_one(after.intake, report))
    return f"worker {number} reports {attempt_name(running.attempt)}: {cause or 'completed'}", said


def told(decisions: Decisions, state: State, number: int, message: Message) -> State:
    """An answer on its way to a worker; in a prompt world all but grants are there at once. The dead hear nothing."""
    is_grant = message[0] == "answer" and message[2]
    if number != DEAD and decisions.setup.prompt and not is_grant:
        return obeyed(state, number, message)
    return state.told(number, message)


def obeyed(state: State, number: int, message: Message) -> State:
    """services/model_worker/control.py:HANDLERS for one message."""
    worker = state.workers[number]
    match message:
        case ("answer", claim, attempt, alone):
            return _answered(state, number, claim, attempt, alone)
        case ("settled", attempt):
            finished = tuple(each for each in worker.finished if each[0] != attempt)
            return state.with_worker(number, finished=finished)
        case ("refused", attempt):
            finished = tuple(each for each in worker.finished if each[0] != attempt)
            running = tuple(each for each in worker.running if each.attempt != attempt)
            return state.with_worker(number, finished=finished, running=running)
        case ("stop",):
            running = tuple(each._replace(stopping=True) for each in worker.running)
            return state.with_worker(number, running=running)
    raise LookupError(f"no worker obeys {message}")


def _answered(state: State, number: int, claim: int, attempt: int, alone: bool) -> State:
    """supervisor.py:Supervisor._take, or _hand_back_late_grant; an answer to another claim is for nobody."""
    worker = state.workers[number]
    if worker.claim != claim:
        return state
    closed = state.with_worker(number, claim=0, token=False)
    if not attempt:
        return closed
    if worker.draining:
        return closed.with_worker(number, finished=tuple(sorted((*worker.finished, (attempt, Cause.DRAINED)))))
    return closed.with_worker(number, running=tuple(sorted((*worker.running, Running(attempt, alone=alone)))))
