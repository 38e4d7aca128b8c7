"""One state for all that nobody can tell apart: rows and messages that can have no effect any more are left out, and
the two workers, which are alike, stand in one order.
"""

from collections.abc import Iterator
from typing import Any

from shared.core.states import AttemptState, RunState, SubTaskState
from tests.faults.protocol.decisions import Decisions
from tests.faults.protocol.state import DEAD, Attempt, Message, State, Worker, claim_in

_STOPPED = frozenset({RunState.FAILING, RunState.COMPLETED, RunState.CANCELLED, RunState.FAILED})
_WAITING = frozenset({SubTaskState.PENDING, SubTaskState.QUEUED})


def canonical(decisions: Decisions, state: State) -> State:
    """The state that stands for this one."""
    if not state.faults and (state.cancelled or decisions.state_of(state) in _STOPPED):
        state = _without_inert_claims(state)
    values: dict[str, Any] = {}
    if any(worker.inbox for worker in state.workers):
        values["workers"] = tuple(_heard_of_use(worker) for worker in state.workers)
    if state.intake or state.late:
        values["intake"] = tuple(each for each in state.intake if _may_matter(state, each))
        values["late"] = tuple(each for each in state.late if _may_matter(state, each))
    if state.outbox:
        values |= _left_to_send(state)
    if values:
        state = state._replace(**values)
    rows = tuple(_kept(state))
    if rows != state.attempts:
        state = state._replace(attempts=rows)
    if state.silent:
        live = {row.attempt for row in rows if row.is_live}
        state = state._replace(silent=tuple(each for each in state.silent if each[0] in live))
    return _swapped(state) if _is_out_of_order(state) else state


def _without_inert_claims(state: State) -> State:
    """A run that is stopped grants nothing any more: tokens and claims that got nothing so far die without effect."""
    looks = tuple(each for each in state.looks if each.message[0] != "claim" or each.again or each.sub_task >= 0)
    pending = {row.claim for row in state.attempts} | {claim_in(look.message) for look in looks}
    pending |= {claim_in(each) for each in state.intake if each[0] == "turn"}
    workers = tuple(_without_claims(worker, pending) for worker in state.workers)
    intake = tuple(each for each in state.intake if each[0] != "claim" or each[2] in pending)
    outbox = tuple(each for each in state.outbox if each[0] != "token")
    return state._replace(tokens=0, looks=looks, workers=workers, intake=intake, outbox=outbox)


def _without_claims(worker: Worker, pending: set[int]) -> Worker:
    left = tuple(each for each in worker.claims if each[0] in pending)
    if left == worker.claims:
        return worker
    return worker._replace(claims=left, token=worker.token and any(by_token for _, by_token in left))


def _left_to_send(state: State) -> dict[str, Any]:
    outbox = tuple(each for each in state.outbox if _may_matter(state, each))
    if not state.faults and outbox and outbox[-1][0] == "token":
        # What cannot be lost any more may as well be where it is going.
        return {"outbox": outbox[:-1], "tokens": state.tokens + outbox[-1][1]}
    return {"outbox": outbox}


def _may_matter(state: State, message: Message) -> bool:
    """Whether a message to the controllers or from the outbox could still change a row, or what a worker holds."""
    match message:
        case ("start",):
            return not state.sub_tasks and not state.cancelled
        case ("cancel",):
            return not state.sub_tasks or any(row.state in _WAITING for row in state.sub_tasks)
        case ("stop",):
            running = any(not each.stopping for worker in state.workers for each in worker.running)
            return running or any(each[0] == "answer" for worker in state.workers for each in worker.inbox)
        case ("report", worker, attempt, _):
            return _is_open(state, worker, attempt)
        case ("beat", worker, running, finished):
            attempts = (*running, *(attempt for attempt, _ in finished))
            return any(_is_open(state, worker, attempt) for attempt in attempts)
    return True


def _is_open(state: State, worker: int, attempt: int) -> bool:
    """Whether a report can still have an effect: on a row that is live or was given up, or on who holds the attempt."""
    row = state.row(attempt)
    if row is not None and (row.is_live or row.state in (AttemptState.LOST, AttemptState.UNDELIVERED)):
        return True
    return worker != DEAD and state.workers[worker].holds(attempt)


def _heard_of_use(worker: Worker) -> Worker:
    """Without messages that the worker would ignore, whenever it reads them."""
    inbox = tuple(each for each in worker.inbox if _is_of_use(worker, each))
    return worker if inbox == worker.inbox else worker._replace(inbox=inbox)


def _is_of_use(worker: Worker, message: Message) -> bool:
    match message:
        case ("answer", claim, *_):
            return bool(worker.asks(claim) or worker.holds(message[5]))
        case ("stop",):
            waits = any(each[0] == "answer" and worker.asks(each[1]) for each in worker.inbox)
            return waits or any(not each.stopping for each in worker.running)
        case (_, attempt):
            return worker.holds(attempt)
    raise LookupError(message)


def _kept(state: State) -> Iterator[Attempt]:
    """Rows of attempts that live or that anybody may still speak of; a claim's id while anybody may still say it."""
    spoken_of = set(_spoken_of(state))
    claims = {claim for worker in state.workers for claim, _ in worker.claims}
    claims.update(claim_in(message) for message in state.intake)
    claims.update(claim_in(each.message) for each in state.looks)
    for row in state.attempts:
        if row.is_live or row.behind or row.attempt in spoken_of:
            yield row if not row.claim or row.claim in claims else row._replace(claim=0)


def _spoken_of(state: State) -> Iterator[int]:
    for worker in state.workers:
        yield from (each.attempt for each in worker.running)
        yield from (attempt for attempt, _ in worker.finished)
        yield from (attempt for each in worker.inbox if each[0] == "answer" for attempt in (each[2], each[5]))
    for message in (*state.intake, *(each.message for each in state.looks)):
        if message[0] in ("report", "turn"):
            yield message[2]
    yield from (each.again for each in state.looks)
    for message in (*state.beats, *state.late):
        if message[0] == "beat":
            yield from message[2]
            yield from (attempt for attempt, _ in message[3])


def _is_out_of_order(state: State) -> bool:
    one, other = state.workers
    if one != other:
        return bool(one > other)
    workers = [row.worker for row in state.attempts if row.worker >= 0]
    return bool(workers) and workers[0] == 1


def _swapped(state: State) -> State:
    """The same with the two workers' numbers exchanged."""
    return state._replace(
        workers=state.workers[::-1],
        intake=tuple(sorted(_of_other(each) for each in state.intake)),
        beats=tuple(_of_other(each) for each in state.beats),
        late=tuple(sorted(_of_other(each) for each in state.late)),
        looks=tuple(sorted(each._replace(message=_of_other(each.message)) for each in state.looks)),
        attempts=tuple(row._replace(worker=1 - row.worker) if row.worker >= 0 else row for row in state.attempts),
    )


def _of_other(message: Message) -> Message:
    if message[0] == "canary" or len(message) < 2 or message[1] < 0:
        return message
    return (message[0], 1 - message[1], *message[2:])
