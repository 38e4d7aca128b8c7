"""The workers' side: tokens, claims, attempts, reports and what they are told. One that is gone is replaced at once.

A crash inside of a step leaves what a crash before or after it leaves: what a worker knows dies with it.
"""

from collections.abc import Iterator

from shared.core.retries import Cause
from tests.faults.protocol.decisions import Decisions
from tests.faults.protocol.rules import When
from tests.faults.protocol.state import DEAD, DONE, Message, Running, State, Worker, claim_in, with_one, without
from tests.faults.protocol.stories import attempt_name, message_name

Step = tuple[str, State]


def take_token(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._claim_with_token, to the first saying of the claim."""
    if not state.tokens:
        return
    for number, worker in enumerate(state.workers):
        if worker.claims_by_token or worker.draining or not _may_claim(decisions, worker):
            continue
        claim = _new_claim(state)
        said = with_one(state.intake, ("claim", number, claim, True))
        taken = state._replace(tokens=state.tokens - 1, intake=said)
        token = decisions.setup.rules.acks_token_after_answer
        if state.faults:
            gone = state._replace(tokens=state.tokens - (not token), faults=state.faults - 1)
            yield f"worker {number} takes a token and dies before it says a claim", replaced(gone, number)
        yield (
            f"worker {number} takes a token and says claim {claim}",
            _asking(taken, number, claim, by_token=True).with_worker(number, token=token),
        )


def claim_again(_: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/claims.py:Claims._ask: the same again while there is no answer, and without the report.

    Said again while the first is still on its way, it says nothing new: messages that are equal count once.
    """
    under_way = {claim_in(message) for message in (*state.intake, *(look.message for look in state.looks))}
    for number, worker in enumerate(state.workers):
        answered = {each[1] for each in worker.inbox if each[0] == "answer"}
        for claim, by_token in worker.claims:
            if claim not in under_way | answered:
                message = ("claim", number, claim, by_token)
                yield (
                    f"worker {number} says claim {claim} again",
                    state._replace(intake=with_one(state.intake, message)),
                )


def obey(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/control.py:HANDLERS, and the end of _claim_work for an answer."""
    for number, worker in enumerate(state.workers):
        for message in worker.inbox:
            read = state.with_worker(number, inbox=without(worker.inbox, message))
            label = f"worker {number} hears {message_name(message)}"
            yield label, obeyed(decisions, read, number, message)
            if state.faults:
                doubled = obeyed(decisions, state, number, message)._replace(faults=state.faults - 1)
                yield f"{label}, and will again", doubled


def finish(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._execute: a running attempt ends, is listed as finished and said.

    One that wants the whole worker begins, and so ends, only when all others on it want that too, and no claim is open
    (slots.py:Slots.wait_turn).
    """
    for number, worker in enumerate(state.workers):
        for each in worker.running:
            if each.stopping:
                yield from _finished(decisions, state, number, each, Cause.CANCELLED)
            elif not each.alone or (all(other.alone for other in worker.running) and not worker.claims):
                yield from _finished(decisions, state, number, each, DONE)


def remove_token(_: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._remove_token; in a prompt world that is done at once."""
    for number, worker in enumerate(state.workers):
        if worker.too_many:
            yield f"worker {number} removes a token too many", _without_too_many(state, number)


def hand_back(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._drain: what does not finish in time is handed back."""
    for number, worker in enumerate(state.workers):
        for each in worker.running:
            if worker.draining and not each.stopping:
                yield from _finished(decisions, state, number, each, Cause.DRAINED)


def leave(_: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._drain: gives up on a late answer, exits when all is settled."""
    for number, worker in enumerate(state.workers):
        if worker.draining and worker.claims:
            yield f"worker {number} waits no longer for answers", state.with_worker(number, claims=())
        elif worker.draining and not worker.has_work:
            yield f"worker {number} has drained and exits; another takes its place", replaced(state, number)


def heartbeat(decisions: Decisions, number: int, worker: Worker) -> Message:
    """services/model_worker/supervisor.py:Supervisor._heartbeat."""
    finished = worker.finished if decisions.setup.rules.repeats_finished else ()
    return ("beat", number, tuple(each.attempt for each in worker.running), finished)


def fail(decisions: Decisions, state: State) -> Iterator[Step]:
    """What may end an attempt without a result, each counted as a fault."""
    for number, worker in enumerate(state.workers):
        for each in worker.running:
            for cause in (Cause.MODEL_ERROR, Cause.STORAGE, Cause.OUT_OF_MEMORY):
                if not each.stopping:
                    yield from _finished(decisions, state, number, each, cause)


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
    taken = len(worker.running) + len(worker.claims)
    if not decisions.setup.rules.waits_for_slot:
        return taken <= decisions.setup.slots
    return taken < decisions.setup.slots and not any(each.alone for each in worker.running)


def _asking(state: State, number: int, claim: int, *, by_token: bool) -> State:
    """With one more claim open."""
    return state.with_worker(number, claims=tuple(sorted((*state.workers[number].claims, (claim, by_token)))))


def _new_claim(state: State) -> int:
    """An id that nobody has in hand; a UUID in the service."""
    used = {row.claim for row in state.attempts} | {claim for worker in state.workers for claim, _ in worker.claims}
    used |= {claim_in(message) for message in (*state.intake, *(look.message for look in state.looks))}
    return next(number for number in range(1, 99) if number not in used)


def _finished(decisions: Decisions, state: State, number: int, running: Running, cause: str) -> Iterator[Step]:
    """With the claim for its slot in the same message, unless nothing may be claimed."""
    worker = state.workers[number]
    after = state.with_worker(
        number,
        running=without(worker.running, running),
        finished=tuple(sorted((*worker.finished, (running.attempt, cause)))),
    )
    label = f"worker {number} reports {attempt_name(running.attempt)}: {cause or 'completed'}"
    when = decisions.setup.claims_with_reports
    may_claim = when != When.NEVER and not worker.draining
    may_claim = may_claim and not any(each.alone for each in worker.running if each != running)
    if may_claim:
        claim = _new_claim(after)
        turn = ("turn", number, running.attempt, cause, claim)
        said = _asking(after, number, claim, by_token=False)
        yield f"{label}, with claim {claim}", said._replace(intake=with_one(after.intake, turn))
    if not may_claim or when == When.SOMETIMES:
        report = ("report", number, running.attempt, cause)
        yield label, after._replace(intake=with_one(after.intake, report))


def told(decisions: Decisions, state: State, number: int, message: Message) -> State:
    """An answer on its way to a worker; in a prompt world all but grants are there at once. The dead hear nothing."""
    is_grant = message[0] == "answer" and message[2]
    if number != DEAD and decisions.setup.prompt and not is_grant:
        return obeyed(decisions, state, number, message)
    return state.told(number, message)


def obeyed(decisions: Decisions, state: State, number: int, message: Message) -> State:
    """services/model_worker/control.py:HANDLERS for one message."""
    worker = state.workers[number]
    match message:
        case ("answer", claim, attempt, alone, left, settled):
            heard = obeyed(decisions, state, number, ("settled", settled)) if settled else state
            after = _answered(heard, number, claim, Running(attempt, alone=alone), left)
            return _without_too_many(after, number) if decisions.setup.prompt else after
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


def _without_too_many(state: State, number: int) -> State:
    """The worker has removed a token for each that it left over, of what is on the queue by then."""
    tokens = max(state.tokens - state.workers[number].too_many, 0)
    return state.with_worker(number, too_many=0)._replace(tokens=tokens)


def _answered(state: State, number: int, claim: int, granted: Running, left: bool) -> State:
    """supervisor.py:Supervisor._begin, or _hand_back; an answer to another claim is for nobody."""
    worker = state.workers[number]
    if not worker.asks(claim):
        return state
    left_open = tuple(each for each in worker.claims if each[0] != claim)
    closed = state.with_worker(number, claims=left_open, token=worker.token and (claim, True) not in worker.claims)
    if not granted.attempt:
        return closed
    if worker.draining:
        return closed.with_worker(number, finished=tuple(sorted((*worker.finished, (granted.attempt, Cause.DRAINED)))))
    running = tuple(sorted((*worker.running, granted)))
    return closed.with_worker(number, running=running, too_many=worker.too_many + left)
