"""What runs beside the intake: the relay, the heartbeats' consumer, the reaper and the reconciler."""

from collections.abc import Iterator

from services.task_controller.reaper import Sighting, Watch
from shared.core.facts import Looked
from shared.core.retries import Cause
from shared.core.states import AttemptState, RunState, SubTaskState
from tests.faults.protocol.controller import end_attempt, plan
from tests.faults.protocol.decisions import Decisions, posted, tokens_in
from tests.faults.protocol.state import CANARY, DEAD, NO_CANARY, Message, State, sub_task_of, with_one, without
from tests.faults.protocol.stories import attempt_name, message_name, worker_name
from tests.faults.protocol.worker import heartbeat, told

Step = tuple[str, State]

LEASE = 3
"""In looks of the reaper; a worker sends at least one heartbeat between two looks."""
GAP = 1
"""The canary of the last look must be back at this one."""


def relay(_: Decisions, state: State) -> Iterator[Step]:
    """services/task_controller/relay.py:Relay.relay_once for one row. It publishes, then marks the row as sent."""
    for row in state.outbox:
        sent = _published(state, row)
        yield f"the relay publishes {message_name(row)}", sent._replace(outbox=without(state.outbox, row))
        if state.faults:
            yield (
                f"the relay dies between publishing and marking {message_name(row)}",
                sent._replace(faults=state.faults - 1),
            )


def beat(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/model_worker/supervisor.py:Supervisor._beat. The next heartbeat comes once this one has been taken."""
    for number, worker in enumerate(state.workers):
        if not worker.has_work or worker.beaten or any(each[:2] == ("beat", number) for each in state.beats):
            continue
        message = heartbeat(decisions, number, worker)
        if decisions.setup.watches or not decisions.setup.prompt:
            sent = state._replace(beats=(*state.beats, message))
            yield f"worker {number} sends a heartbeat", sent.with_worker(number, beaten=decisions.setup.watches)
            continue
        yield from _taken(decisions, state, message, "")
        if state.faults:
            yield f"a heartbeat of worker {number} is delayed", _late(state, message)._replace(faults=state.faults - 1)


def take_beats(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/task_controller/heartbeats.py:Heartbeats.handle, of the queue's head and of any that comes late."""
    if state.beats:
        head, rest = state.beats[0], state.beats[1:]
        yield from _taken(decisions, state._replace(beats=rest), head, "")
    for message in state.late:
        yield from _taken(decisions, state._replace(late=without(state.late, message)), message, "late ")


def reconcile(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/task_controller/reconciler.py:Reconciler.look, in its two parts."""
    after = _reconciled(decisions, state)
    if after != state:
        yield "the reconciler re-derives what should be ready or ended", after
    ready = sum(row.state == SubTaskState.QUEUED for row in state.sub_tasks)
    in_hand = 0 if decisions.setup.eager else sum(worker.token for worker in state.workers)
    missing = ready - state.tokens - tokens_in(state.outbox) - in_hand
    if missing > 0 and decisions.setup.rules.tops_up:
        yield f"the reconciler tops up with {missing} tokens", posted(state, ("token", missing))


def give_up(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/task_controller/reaping.py:Reaper._give_up of an attempt that has really gone silent."""
    if decisions.setup.watches:
        return
    for row in state.attempts:
        if row.is_live and _is_silent(decisions, state, row.attempt):
            yield f"the reaper gives up {attempt_name(row.attempt)}", given_up(decisions, state, row.attempt)


def given_up(decisions: Decisions, state: State, attempt: int, *, by_mistake: bool = False) -> State:
    """The attempt ends as lost. It is a robbery when its worker is there, holds it and has listed it, by no fault.

    A grant that arrives so late that no heartbeat lists it in time ends as undelivered, uncounted: so it is meant.
    """
    row = state.row(attempt)
    held = row is not None and row.worker != DEAD and state.workers[row.worker].holds(attempt)
    held = held and row is not None and row.state == AttemptState.RUNNING
    after, _ = end_attempt(decisions, state, attempt, Cause.LOST)
    return after._replace(robbed=state.robbed or (held and not by_mistake))


def look(decisions: Decisions, state: State) -> Iterator[Step]:
    """services/task_controller/reaping.py:Reaper.look, with the Watch that the reaper itself watches with.

    Time passes between two looks: every worker that holds something has sent a heartbeat.
    """
    if not decisions.setup.watches or any(_owes_a_beat(state, number) for number in range(len(state.workers))):
        return
    live = [row for row in state.attempts if row.is_live]
    if not live and not any(worker.beaten for worker in state.workers):
        return
    renewals = {row.attempt: int(row.renewed) for row in live}
    watch: Watch[int] = Watch(LEASE, GAP)
    if not state.blind:
        sightings = {attempt: Sighting(0, -since) for attempt, since in state.silent}
        watch = Watch(LEASE, GAP, sightings, -1)
    canary_age = state.canary if decisions.setup.rules.sends_canary else 0
    silent = watch.look(0, canary_age, renewals)
    after = _looked(state, watch)
    for attempt in silent:
        after = given_up(decisions, after, attempt)
    names = ", ".join(attempt_name(each) for each in silent)
    yield (f"the reaper looks and gives up {names}" if names else "the reaper looks"), after


def _looked(state: State, watch: Watch[int]) -> State:
    """Seen from the next look, one unit of time on: everything is one older, and a canary is under way.

    One that is still under way from the look before will be too old when it comes; it is left out.
    """
    seen = watch._seen
    silent = tuple(sorted((attempt, int(1 - sighting.since)) for attempt, sighting in seen.items()))
    beats = tuple(each for each in state.beats if each[0] != "canary")
    return state._replace(
        silent=silent,
        blind=False,
        canary=NO_CANARY,
        beats=(*beats, ("canary",)),
        late=tuple(each for each in state.late if each[0] != "canary"),
        attempts=tuple(row._replace(renewed=False) if row.renewed else row for row in state.attempts),
        workers=tuple(worker._replace(beaten=False) for worker in state.workers),
    )


def _owes_a_beat(state: State, number: int) -> bool:
    """Whether time cannot have passed yet: a heartbeat has still to be sent, a look to end or its grant to arrive."""
    worker = state.workers[number]
    under_way = any(each[:2] == ("beat", number) for each in state.beats)
    arriving = bool(state.looks) or any(each[0] == "answer" and each[2] for each in worker.inbox)
    return arriving or (worker.has_work and not worker.beaten and not under_way)


def _is_silent(decisions: Decisions, state: State, attempt: int) -> bool:
    """Whether no heartbeat can renew it: its worker is gone, or has never been given it and asks for it no more."""
    row = state.row(attempt)
    if row is None or row.worker == DEAD:
        return True
    worker = state.workers[row.worker]
    if any(each.attempt == attempt for each in worker.running) or worker.asks(row.claim):
        return False
    if not worker.holds(attempt):
        return True
    waiting = (*state.intake, *(look.message for look in state.looks))
    reported = any(each[0] in ("report", "turn") and each[2] == attempt for each in waiting)
    return not decisions.setup.rules.repeats_finished and not reported


def _published(state: State, row: Message) -> State:
    match row:
        case ("token", copies):
            return state._replace(tokens=state.tokens + copies)
        case ("stop",):
            for number in range(len(state.workers)):
                state = state.told(number, row)
            return state
    return state._replace(intake=with_one(state.intake, row))


def _taken(decisions: Decisions, state: State, message: Message, late: str) -> Iterator[Step]:
    """Renew and look for answers, settle what is finished, note canaries, answer, acknowledge, in this order."""
    if message[0] == "canary":
        yield f"a controller takes a {late}canary", state._replace(canary=CANARY)
        return
    _, number, running, finished = message
    label = f"a controller takes a {late}heartbeat of {worker_name(number)}"
    renewed, replies = _renewed(decisions, state, number, running)
    settled = renewed
    for attempt, cause in finished:
        settled, refusal = end_attempt(decisions, settled, attempt, cause)
        replies.append(("settled" if refusal is None else "refused", attempt))
    done = settled
    for reply in replies:
        done = told(decisions, done, number, reply)
    yield label, done
    if state.faults:
        fewer = state.faults - 1
        yield f"{label} and dies before it settles", _late(renewed, message)._replace(faults=fewer)
        yield f"{label} and dies before it answers", _late(settled, message)._replace(faults=fewer)
        yield f"{label} and answers; the heartbeat comes again", _late(done, message)._replace(faults=fewer)
        yield f"{label}, but its answers are lost", settled._replace(faults=fewer)


def _late(state: State, message: Message) -> State:
    return state._replace(late=with_one(state.late, message))


def _renewed(decisions: Decisions, state: State, number: int, running: tuple[int, ...]) -> tuple[State, list[Message]]:
    """services/task_controller/heartbeats.py:_renew_leases and _answers."""
    for attempt in running:
        row = state.row(attempt)
        if row is not None and row.is_live and row.worker == number:
            state = state.with_row(row._replace(state=AttemptState.RUNNING, renewed=decisions.setup.watches))
    answers = (_answer(decisions, state, attempt) for attempt in running)
    return state, [answer for answer in answers if answer is not None]


def _answer(decisions: Decisions, state: State, attempt: int) -> Message | None:
    """services/task_controller/heartbeats.py:_answers for one attempt."""
    row, run = state.row(attempt), decisions.state_of(state)
    if row is None or state.sub_tasks[sub_task_of(attempt)].newest != attempt:
        return ("refused", attempt)
    if run in (RunState.CANCELLING, RunState.FAILING):
        return ("stop",)
    if run != RunState.ACTIVE or row.state == AttemptState.COMPLETED:
        return ("refused", attempt)
    return None


def _reconciled(decisions: Decisions, state: State) -> State:
    """services/task_controller/reconciler.py:Reconciler._stalled and _reconcile."""
    facts = decisions.facts(state.run)
    if facts.state == RunState.REQUESTED:
        return plan(decisions, state)
    moving = any(stage.queued + stage.started for stage in facts.stages)
    stopping = facts.is_stopping and decisions.setup.rules.ends_stopping
    if stopping or (facts.state == RunState.ACTIVE and not moving):
        return decisions.apply(state, Looked())[0]
    return state
