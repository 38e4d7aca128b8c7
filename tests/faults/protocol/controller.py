"""The task controllers' side: what comes in is looked up, decided under the run's lock, committed, answered and acked.

All transactions lock the one run, so each is one step. A crash between two lines is a variant of the step that ends
there: what others do in between, they may as well do before or after it.
"""

from collections.abc import Iterator
from uuid import UUID

from shared.core.facts import AttemptEnded, CancelRequested, Event, RunPlanned, WorkGranted
from shared.core.retries import Cause
from shared.core.states import AttemptState, RunState, SubTaskState
from tests.faults.protocol.decisions import Decisions, tokens_in, with_token_less
from tests.faults.protocol.state import (
    DONE,
    Attempt,
    Look,
    Message,
    State,
    attempt_number,
    claim_in,
    sub_task_of,
    with_one,
    without,
)
from tests.faults.protocol.stories import attempt_name, message_name
from tests.faults.protocol.worker import told

Step = tuple[str, State]

CONTROLLERS = 2


def take(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/task_controller/handlers.py:_look_up, before anything is locked.

    Claims of a queue are looked up one transaction after the other (claims.py:_take_turns).
    """
    for message in state.intake:
        if claim_in(message) and not any(claim_in(look.message) for look in state.looks):
            look = _find_candidate(decisions, state, message)
            found = f"s{look.sub_task}" if look.sub_task >= 0 else attempt_name(look.again) if look.again else "nothing"
            yield f"a controller takes {message_name(message)} and finds {found}", _looking(state, message, look)
        elif message[0] == "report" and not decisions.setup.rules.report_in_lock and len(state.looks) < CONTROLLERS:
            look = Look(message, run=state.run)
            yield f"a controller takes {message_name(message)} and reads the counters", _looking(state, message, look)


def finish_looks(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/task_controller/handlers.py:handle, from the lock to the commit, then intake.py:Intake._handle."""
    for look in state.looks:
        before = state._replace(looks=without(state.looks, look))
        after, replies = _commit(decisions, before, look)
        label = f"a controller commits {message_name(look.message)}"
        yield from _answered(decisions, label, after, look.message, replies)
        yield from _answered_early(decisions, before, look.message, replies)
        if state.faults:
            yield (
                f"a controller dies, or its database fails over, before it commits {message_name(look.message)}",
                _again(before, look.message)._replace(faults=state.faults - 1),
            )


def handle(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/task_controller/intake.py:Intake._handle for messages whose look-up never changes."""
    for message in state.intake:
        if claim_in(message) or (message[0] == "report" and not decisions.setup.rules.report_in_lock):
            continue
        taken = state._replace(intake=without(state.intake, message))
        after, replies = _commit(decisions, taken, Look(message))
        yield from _answered(decisions, f"a controller handles {message_name(message)}", after, message, replies)
        yield from _answered_early(decisions, taken, message, replies)


def _answered_early(
    decisions: Decisions, before: State, message: Message, replies: tuple[Message, ...]
) -> Iterator[Step]:
    """The rule broken: the answers are out, the commit is not."""
    if before.faults and replies and not decisions.setup.rules.replies_after_commit:
        again = _again(before, message)._replace(faults=before.faults - 1)
        label = f"a controller answers {message_name(message)} and dies before its commit"
        yield label, _told_all(decisions, again, message, replies)


def end_attempt(decisions: Decisions, state: State, attempt: int, cause: str) -> tuple[State, str | None]:
    """shared/database/settlement.py:settle for one report."""
    return _end_attempt(decisions, state, attempt, cause, None)


def _looking(state: State, message: Message, look: Look) -> State:
    return state._replace(intake=without(state.intake, message), looks=tuple(sorted((*state.looks, look))))


def _again(state: State, message: Message) -> State:
    """The broker gives a message that was not acknowledged to the next consumer."""
    return state._replace(intake=with_one(state.intake, message))


def _answered(
    decisions: Decisions, label: str, after: State, message: Message, replies: tuple[Message, ...]
) -> Iterator[Step]:
    """The answers go out, then the message is acknowledged; either may be cut off."""
    done = _told_all(decisions, after, message, replies)
    yield label, done
    if after.faults:
        fewer = after.faults - 1
        again = _again(after, message)._replace(faults=fewer)
        yield f"{label} and dies, or loses its database, before it answers", again
        if replies:
            yield f"{label}, but the answer is lost", after._replace(faults=fewer)
            yield f"{label} and answers; the message comes again", _told_all(decisions, again, message, replies)


def _told_all(decisions: Decisions, state: State, message: Message, replies: tuple[Message, ...]) -> State:
    for reply in replies:
        state = told(decisions, state, message[1], reply)
    return state


def _commit(decisions: Decisions, state: State, look: Look) -> tuple[State, tuple[Message, ...]]:
    """services/task_controller/handlers.py:HANDLERS, one message a transaction. Returns the answers to its worker."""
    match look.message:
        case ("start",):
            return plan(decisions, state), ()
        case ("cancel",):
            return decisions.apply(state, CancelRequested())[0], ()
        case ("report", _, attempt, cause):
            run = look.run if look.run >= 0 else None
            after, refusal = _end_attempt(decisions, state, attempt, cause, run)
            return after, (("settled" if refusal is None else "refused", attempt),)
        case ("claim", worker, claim, by_token):
            after, answer = _answer(decisions, state, look, worker, claim, None if by_token else 0)
            return after, ((*answer, 0),)
        case ("turn", worker, attempt, cause, claim):
            return _turn(decisions, state, look, worker, attempt, cause, claim)
    raise LookupError(f"no controller handles {look.message}")


def _turn(
    decisions: Decisions, state: State, look: Look, worker: int, attempt: int, cause: str, claim: int
) -> tuple[State, tuple[Message, ...]]:
    """The report, then its claim, in one transaction: handlers.py:settle_attempts, then grant_claims."""
    settled, refusal = _end_attempt(decisions, state, attempt, cause, look.run if look.run >= 0 else None)
    posted = tokens_in(settled.outbox) - tokens_in(state.outbox)
    if posted and not look.again:
        look = _find_candidate(decisions, settled, look.message)
    after, answer = _answer(decisions, settled, look, worker, claim, posted)
    if refusal is None:
        return after, ((*answer, attempt),)
    return after, (("refused", attempt), (*answer, 0))


def _answer(
    decisions: Decisions, state: State, look: Look, worker: int, claim: int, posted: int | None
) -> tuple[State, Message]:
    """services/task_controller/claims.py:grant. `posted`: how many tokens this transaction posts; None: by a token."""
    after, attempt = _grant(decisions, state, look, worker, claim)
    if not attempt or look.again or posted is None:
        return after, ("answer", claim, attempt, _alone(after, attempt), False)
    if posted:
        after = with_token_less(after)
    return after, ("answer", claim, attempt, _alone(after, attempt), not posted)


def _alone(state: State, attempt: int) -> bool:
    return state.sub_tasks[sub_task_of(attempt)].weight == "all" if attempt else False


def plan(decisions: Decisions, state: State) -> State:
    """services/task_controller/planning.py:plan."""
    if decisions.state_of(state) != RunState.REQUESTED:
        return state
    return decisions.apply(decisions.planned(state), RunPlanned())[0]


def _end_attempt(
    decisions: Decisions, state: State, attempt: int, cause: str, run: int | None
) -> tuple[State, str | None]:
    row = state.row(attempt)
    if row is None:
        return state, "this attempt is not known"
    event = AttemptEnded(None if cause == DONE else Cause(cause))
    return decisions.apply(state, event, sub_task_of(attempt), row, run)


def _find_candidate(decisions: Decisions, state: State, message: Message) -> Look:
    """services/task_controller/claims.py:find_candidates: what the claim got before, else the best ready sub-task."""
    claim = claim_in(message)
    before = next((row.attempt for row in state.attempts if row.claim == claim), 0)
    if before and decisions.setup.rules.remembers_claims:
        return Look(message, again=before)
    ready = [
        (-row.stage, at)
        for at, row in enumerate(state.sub_tasks)
        if row.state == SubTaskState.QUEUED and decisions.state_of(state) == RunState.ACTIVE
    ]
    read = -1 if decisions.setup.rules.claim_in_lock else state.run
    return Look(message, sub_task=min(ready)[1] if ready else -1, run=read)


def _grant(decisions: Decisions, state: State, look: Look, worker: int, claim: int) -> tuple[State, int]:
    """services/task_controller/claims.py:grant. Returns the attempt, or 0 for nothing."""
    if look.again:
        return state, look.again if _lives(decisions, state, look.again) else 0
    if look.sub_task < 0:
        return state, 0
    attempt = attempt_number(look.sub_task, _fence(state, look.sub_task) + 1)
    event: Event = WorkGranted(UUID(int=attempt))
    if decisions.setup.rules.claim_in_lock:
        after, refusal = decisions.apply(state, event, look.sub_task)
    else:
        after, refusal = _granted_unlocked(decisions, state, event, look)
    if refusal is not None:
        return state, 0
    behind = decisions.state_of(state) != RunState.ACTIVE
    return after.with_row(Attempt(attempt, AttemptState.GRANTED, worker, claim, behind=behind)), attempt


def _granted_unlocked(decisions: Decisions, state: State, event: Event, look: Look) -> tuple[State, str | None]:
    """The rule broken: the sub-task's row is written on what was read of its run before, whatever that is by now."""
    _, refusal = decisions.apply(state, event, look.sub_task, run=look.run)
    if refusal is not None or state.sub_tasks[look.sub_task].state != SubTaskState.QUEUED:
        return state, "not ready"
    return decisions.granted_regardless(state, event, look.sub_task), None


def _lives(decisions: Decisions, state: State, attempt: int) -> bool:
    """services/task_controller/claims.py:_again."""
    row = state.row(attempt)
    is_newest = state.sub_tasks[sub_task_of(attempt)].newest == attempt
    return row is not None and row.is_live and is_newest and decisions.state_of(state) == RunState.ACTIVE


def _fence(state: State, sub_task: int) -> int:
    newest = state.sub_tasks[sub_task].newest
    return newest - attempt_number(sub_task, 0) if newest else 0
