"""Explores worlds: `python -m tests.faults.protocol.explore` says how many states there are, and that all of them hold.

Every state within one fault, breadth first, so that a counterexample is as short as there is one; and seeded random
walks with many faults. A broken promise is told as the story that leads to it.
"""

import gc
import os
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from shared.core.states import IllegalTransition, RunState
from tests.faults.protocol.rules import Setup, When, stages
from tests.faults.protocol.state import State
from tests.faults.protocol.world import BrokenPromise, Step, World

_ALIKE = "(The two workers are alike: their numbers may change places from one line to the next.)"


class Counterexample(Exception):
    """A promise that is broken, and the story of how."""

    def __init__(self, promise: str, story: list[str]) -> None:
        lines = [f"{number:3}. {line}" for number, line in enumerate(story, 1)]
        super().__init__("\n".join([f"Broken: {promise}", _ALIKE, *lines]))
        self.promise = promise
        self.story = story


@dataclass(frozen=True)
class Explored:
    """What an exploration has seen. `ends`: the states of runs that have ended. `seconds` of one process."""

    states: int
    steps: int
    depth: int
    seconds: float
    ends: frozenset[RunState]

    def __str__(self) -> str:
        rate = self.steps / max(self.seconds, 1e-9)
        seen = f"{self.states} states, {self.steps} steps, depth {self.depth}, ends {', '.join(sorted(self.ends))}"
        return f"{seen}, {self.seconds:.1f} s ({rate:.0f}/s)"


@contextmanager
def _without_collecting() -> Iterator[None]:
    """States are tuples of tuples, without cycles: the collector would look through all of them for nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_without_collecting()
def explore(setup: Setup) -> Explored:
    """Every state that can be reached. Raises Counterexample."""
    world, began = World(setup), time.monotonic()
    parents: dict[State, tuple[State, str] | None] = {world.first: None}
    waiting = deque([(world.first, 0)])
    steps = depth = 0
    while waiting:
        state, depth = waiting.popleft()
        with _told_as(partial(_story, state, parents)):
            world.check(state)
            following = list(world.successors(state))
        steps += len(following)
        for label, after in following:
            if after not in parents:
                parents[after] = (state, label)
                waiting.append((after, depth + 1))
    return Explored(len(parents), steps, depth, time.monotonic() - began, world.ends)


def walk(world: World, seed: int, longest: int = 400) -> tuple[int, set[int]]:
    """One random walk, checked at each step, and brought to its end from where it stops. Raises Counterexample.

    Returns its length and the hashes of the states that it has seen.
    """
    dice = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    state, story, seen = world.first, [f"(seed {seed})"], {hash(world.first)}
    with _told_as(lambda: story):
        for _ in range(dice.randint(1, longest)):
            steps = list(world.successors(state))
            if not steps:
                break
            label, state = _picked(dice, state, steps)
            story.append(label)
            seen.add(hash(state))
            world.check_promises(state)
        world.complete(state)
    return len(story) - 1, seen


@_without_collecting()
def walks(setup: Setup, seeds: range) -> Explored:
    """A random walk of each seed; `depth` is the longest. Raises Counterexample."""
    world, began = World(setup), time.monotonic()
    seen: set[int] = set()
    lengths = []
    for seed in seeds:
        length, states = walk(world, seed)
        lengths.append(length)
        seen |= states
    return Explored(len(seen), sum(lengths), max(lengths, default=0), time.monotonic() - began, world.ends)


def _picked(dice: random.Random, state: State, steps: list[Step]) -> Step:
    """Any step, but faults only now and then: else all of them are spent before anything has begun."""
    if dice.random() < 0.9:
        quiet = [step for step in steps if step[1].faults == state.faults and step[1].cancelled == state.cancelled]
        steps = quiet or steps
    return dice.choice(steps)


@contextmanager
def _told_as(story: Callable[[], list[str]]) -> Iterator[None]:
    """Whatever breaks is told with the story that leads to it; a decision that cannot be taken breaks a promise too."""
    try:
        yield
    except BrokenPromise as broken:
        raise Counterexample(str(broken), [*story(), *_told(broken.steps)]) from None
    except (ValueError, IllegalTransition) as error:
        raise Counterexample(f"a decision cannot be taken: {error}", story()) from error


def _told(steps: list[str]) -> list[str]:
    """What happens from then on, as far as anybody wants to read it."""
    if not steps:
        return []
    more = len(steps) - 30
    return ["(nothing goes wrong any more)", *steps[:30], *([f"(and so on, {more} more)"] if more > 0 else [])]


def _story(state: State, parents: dict[State, tuple[State, str] | None]) -> list[str]:
    labels: list[str] = []
    at = parents[state]
    while at is not None:
        labels.append(at[1])
        at = parents[at[0]]
    return labels[::-1]


_ALONE = stages(cleanup=False)
WORLDS = {
    "two chunks, recording, clean-up; claims by tokens only; any one fault; a cancel at any moment": Setup(
        stages(2), claims_with_reports=When.NEVER
    ),
    "two chunks, recording; any one fault": Setup(stages(2, cleanup=False), cancels=False),
    "one sub-task, clean-up; any one fault; a cancel at any moment": Setup(stages()),
    "one sub-task, clean-up; workers of two versions; any one fault; a cancel at any moment": Setup(
        stages(), claims_with_reports=When.SOMETIMES
    ),
    "one sub-task; the reaper look by look; any one fault; a cancel at any moment": Setup(_ALONE, watches=True),
    "one sub-task; heartbeats and answers take their time; the reaper look by look; any one fault": Setup(
        _ALONE, watches=True, prompt=False, cancels=False
    ),
    "one sub-task; any two faults": Setup(_ALONE, faults=2, cancels=False),
}
"""Explored in full."""

WIDE_WORLDS = {
    "four stages, eight faults": Setup(stages(1, 2), faults=8, prompt=False, eager=True),
    "two slots a worker, eight faults": Setup(stages(1, 3), slots=2, faults=8, prompt=False, eager=True),
}
"""Walked through at random."""


def walks_wanted() -> int:
    """How many random walks each wide world gets: LOSSLINE_WALKS, or what fits into 30 seconds together."""
    return int(os.environ.get("LOSSLINE_WALKS", "400"))


def main() -> int:
    """Explore the worlds that the tests explore. Exit status 1 at a counterexample."""
    count = walks_wanted()
    try:
        for name, setup in WORLDS.items():
            print(f"{name}: {explore(setup)}", flush=True)  # noqa: T201 - a program's answer
        for name, setup in WIDE_WORLDS.items():
            print(f"{count} walks, {name}: {walks(setup, range(count))}", flush=True)  # noqa: T201
    except Counterexample as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
