"""All steps of a world in one table, and how it ends when nothing goes wrong any more."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

from shared.core.states import IllegalTransition, RunState
from tests.faults.protocol import background, controller, worker
from tests.faults.protocol.canonical import canonical
from tests.faults.protocol.decisions import Decisions
from tests.faults.protocol.faults import cancel, faults
from tests.faults.protocol.invariants import Invariants
from tests.faults.protocol.rules import Setup
from tests.faults.protocol.state import State

Step = tuple[str, State]
Steps = Callable[[Decisions, State], Iterator[Step]]

FAIR: tuple[Steps, ...] = (
    controller.finish_looks,
    controller.take,
    controller.handle,
    worker.obey,
    background.relay,
    background.take_beats,
    worker.take_token,
    worker.remove_token,
    worker.claim_again,
    worker.finish,
    worker.leave,
    background.give_up,
    background.beat,
    background.look,
    background.reconcile,
)
"""Every process does what it can: a fair order, in which what is further down waits until nothing above is left."""

ALL: tuple[Steps, ...] = (*FAIR, worker.hand_back, cancel, faults)

STEPS_TO_THE_END = 400
_REMEMBERED = 1 << 16
"""States whose canonical ones are remembered: two steps that do not meet, in either order, lead to the same."""


class BrokenPromise(Exception):
    """What does not hold in a state, or at the end that it comes to by these steps."""

    def __init__(self, promise: str, steps: list[str]) -> None:
        super().__init__(promise)
        self.steps = steps


class World:
    """The states of one setup: successors, promises, ends."""

    def __init__(self, setup: Setup) -> None:
        self.decisions = Decisions(setup)
        self._canonical = lru_cache(_REMEMBERED)(partial(canonical, self.decisions))
        self.invariants = Invariants(self.decisions)
        self.ends: frozenset[RunState] = frozenset()
        self._well: set[State] = set()
        """States from which the right end is known to be reached."""

    @property
    def first(self) -> State:
        """The run has been requested."""
        return self._canonical(self.decisions.first_state())

    def successors(self, state: State) -> Iterator[Step]:
        """All that may happen next; steps that change nothing are left out."""
        for steps in ALL:
            for label, after in steps(self.decisions, state):
                found = self._canonical(after)
                if found != state:
                    yield label, found

    def check(self, state: State) -> None:
        """All promises hold here, and all will be well. Raises BrokenPromise."""
        self.check_promises(state)
        self.complete(state)

    def check_promises(self, state: State) -> None:
        """All promises hold here. Raises BrokenPromise."""
        broken = self.invariants.broken(state)
        if broken is not None:
            raise BrokenPromise(broken, [])

    def complete(self, state: State) -> None:
        """Go on with nothing more going wrong. Raises BrokenPromise where the end is not right, or beyond the bound."""
        path: list[State] = []
        labels: list[str] = []
        state = self._canonical(state._replace(faults=0))
        while state not in self._well:
            path.append(state)
            try:
                step = self._fair(state)
            except (ValueError, IllegalTransition) as error:
                raise BrokenPromise(f"a decision cannot be taken: {error}", labels) from error
            if step is None:
                break
            labels.append(step[0])
            state = step[1]
            if len(path) > STEPS_TO_THE_END:
                raise BrokenPromise("no end within the bound", labels)
        else:
            self._well.update(path)
            return
        reason = self.invariants.unfinished(state)
        self.ends |= {self.decisions.state_of(state)}
        if reason is not None:
            raise BrokenPromise(reason, [*labels, "(it ends here)"])
        self._well.update(path)

    def _fair(self, state: State) -> Step | None:
        for steps in FAIR:
            for label, after in steps(self.decisions, state):
                found = self._canonical(after)
                if found != state:
                    return label, found
        return None
