"""What may go wrong, each for one of the faults that a world has left; and what its user may do.

Crashes between two lines of a controller, and messages that come twice, are variants of the steps of `controller`,
`background` and `worker`. Messages of the intake and of a worker's queue have no order in the model: reordering is no
fault there. A failover of the database is a transaction undone, or one committed without the controller's knowing.
"""

from collections.abc import Iterator

from shared.core.states import ANALYSIS, AnalysisEvent, allows
from tests.faults.protocol.background import given_up
from tests.faults.protocol.decisions import Decisions
from tests.faults.protocol.state import NO_CANARY, State, with_one, without
from tests.faults.protocol.stories import attempt_name, message_name
from tests.faults.protocol.worker import fail, replaced

Step = tuple[str, State]


def cancel(decisions: Decisions, state: State) -> Iterator[Step]:
    """The user cancels, once, whenever the status allows it."""
    if decisions.setup.cancels and not state.cancelled and allows(ANALYSIS, state.status, AnalysisEvent.CANCELLED):
        yield "the user cancels", decisions.cancelled(state)


def faults(decisions: Decisions, state: State) -> Iterator[Step]:
    """All that may go wrong now."""
    if not state.faults:
        return
    weaker = state._replace(faults=state.faults - 1)
    network = (_losses, _doubles, _delays, _outages) if decisions.setup.lossy else ()
    for kind in (*network, _crashes, _mistakes, fail):
        yield from kind(decisions, weaker)


def _losses(_: Decisions, state: State) -> Iterator[Step]:
    for message in state.intake:
        yield (
            f"lost on the way to the controllers: {message_name(message)}",
            state._replace(intake=without(state.intake, message)),
        )
    for at, message in enumerate(state.beats):
        yield f"lost: {message_name(message)}", state._replace(beats=state.beats[:at] + state.beats[at + 1 :])
    for number, worker in enumerate(state.workers):
        for message in worker.inbox:
            left = without(worker.inbox, message)
            yield f"lost on the way to worker {number}: {message_name(message)}", state.with_worker(number, inbox=left)
    if state.tokens:
        yield "lost: a token", state._replace(tokens=state.tokens - 1)


def _doubles(_: Decisions, state: State) -> Iterator[Step]:
    if state.tokens:
        yield "doubled: a token", state._replace(tokens=state.tokens + 1)
    for number, worker in enumerate(state.workers):
        for claim, by_token in worker.claims:
            message = ("claim", number, claim, by_token)
            if message not in state.intake:
                yield f"doubled: {message_name(message)}", state._replace(intake=with_one(state.intake, message))


def _delays(_: Decisions, state: State) -> Iterator[Step]:
    for at, message in enumerate(state.beats):
        left = state._replace(beats=state.beats[:at] + state.beats[at + 1 :])
        yield f"delayed: {message_name(message)}", left._replace(late=with_one(left.late, message))


def _outages(_: Decisions, state: State) -> Iterator[Step]:
    """A wipe takes all that the broker held; a restart all but tokens and commands, and gives those in hand out again.

    What workers say is not persistent: they repeat it.
    """
    deaf = tuple(worker._replace(inbox=(), token=False) for worker in state.workers)
    in_hand = sum(worker.token for worker in state.workers)
    commands = tuple(message for message in state.intake if message[0] in ("start", "cancel"))
    gone = state._replace(workers=deaf, beats=())
    yield "the broker is wiped", gone._replace(tokens=0, intake=())
    yield "the broker restarts", gone._replace(tokens=state.tokens + in_hand, intake=commands)


def _crashes(decisions: Decisions, state: State) -> Iterator[Step]:
    for number in range(len(state.workers)):
        yield f"worker {number} dies", replaced(state, number)
        if not state.workers[number].draining:
            told = _told_to_drain(state, number)
            yield f"worker {number} is told to drain", told
    if decisions.setup.watches:
        yield (
            "the reaper dies, or its lock is lost in a failover; another reigns",
            state._replace(silent=(), blind=True, canary=NO_CANARY),
        )


def _told_to_drain(state: State, number: int) -> State:
    """services/model_worker/supervisor.py:Supervisor._drain: the token goes back, no other is taken."""
    worker = state.workers[number]
    drained = state.with_worker(number, draining=True, token=False)
    return drained._replace(tokens=drained.tokens + worker.token)


def _mistakes(decisions: Decisions, state: State) -> Iterator[Step]:
    """A false death report, or a worker that is stopped for a lease and then goes on."""
    for row in state.attempts:
        if row.is_live:
            after = given_up(decisions, state, row.attempt, by_mistake=True)
            yield f"given up though its worker may live: {attempt_name(row.attempt)}", after
