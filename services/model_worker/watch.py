"""Looks at a running attempt about once a second, and ends it when a rule says so."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.model_worker.kernel_kills import KernelKills
from services.model_worker.memory import MemoryGauge, MemoryLimit
from services.model_worker.processes import Child
from shared.core.plan import SlotWeight
from shared.core.retries import Cause

_CLOSELY, _LOOSELY = 20, 100
"""After a look that took t seconds, at least so many t pass until the next: with a limit to keep, and without one."""


@dataclass(frozen=True)
class Verdict:
    """Why an attempt is to be ended; `at_once` without a grace."""

    cause: Cause
    message: str
    at_once: bool = False


Rule = Callable[[list[int]], Verdict | None]
"""Called in a thread with the ids of the attempt's processes."""


class MemoryRule:
    """No attempt uses more than its slot allows. It is killed at once: a grace would let it grow."""

    def __init__(self, limit: MemoryLimit, weight: SlotWeight) -> None:
        self.gauge = MemoryGauge()
        self.share = _LOOSELY if limit.of(weight) is None else _CLOSELY
        self._limit = limit
        self._weight = weight

    def __call__(self, pids: list[int]) -> Verdict | None:
        """Measure, and judge."""
        message = self._limit.excess(self.gauge.measure(pids), self._weight)
        return Verdict(Cause.OUT_OF_MEMORY, message, at_once=True) if message else None


async def watch(
    child: Child, rules: Iterable[Rule], kills: KernelKills, stop: Callable[[Verdict], None], every: float, share: int
) -> None:
    """Until cancelled, or until a rule has ended the attempt. `every` in seconds, or `share` times what a look took."""
    rules = tuple(rules)
    pause = every
    while True:
        await asyncio.sleep(pause)
        began = time.monotonic()
        verdict = await asyncio.to_thread(_look, child, rules, kills)
        if verdict is not None:
            stop(verdict)
            return
        pause = max(every, share * (time.monotonic() - began))


def _look(child: Child, rules: tuple[Rule, ...], kills: KernelKills) -> Verdict | None:
    kills.look()
    pids = child.processes()
    return next((verdict for rule in rules if pids and (verdict := rule(pids)) is not None), None)
