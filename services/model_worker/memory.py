"""The memory of an attempt: what its processes use together, and what a slot allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.model_worker.processes import proc
from shared.core.plan import SlotWeight


@dataclass(frozen=True)
class MemoryLimit:
    """What the attempts of a worker may use, in bytes for each slot; None sets no limit."""

    per_slot: int | None = None
    slots: int = 1

    def of(self, weight: SlotWeight) -> int | None:
        """What one attempt may use: its slot, or those of the whole worker."""
        if self.per_slot is None:
            return None
        return self.per_slot * (self.slots if weight == SlotWeight.ALL else 1)

    def excess(self, used: int, weight: SlotWeight) -> str | None:
        """In plain words how far an attempt is beyond its limit, or None."""
        limit = self.of(weight)
        if limit is None or used <= limit:
            return None
        had = f"all {self.slots} slots" if weight == SlotWeight.ALL else f"one of {self.slots} slots"
        return (
            f"Out of memory: the attempt used {readable(used)}, and with {had} of its worker it may use "
            f"{readable(limit)}. Split the work into more chunks, or set OASIS_WORKER_MEMORY_PER_SLOT higher "
            f"(now {readable(self.per_slot or 0)}; fewer slots, OASIS_CELERY_CONCURRENCY, leave more for each)."
        )


def share_of(total: int | None, machine: int | None, slots: int) -> int | None:
    """The default for a slot: an equal part of what the container may use; None where it has no limit of its own."""
    if total is None or (machine is not None and total >= machine):
        return None
    return total // slots


def kernel_message(peak: int, total: int | None) -> str:
    """In plain words that the kernel has killed."""
    had = f"; the worker's container has {readable(total)}" if total is not None else ""
    return (
        "Out of memory: the kernel has killed a process for want of memory. "
        f"The attempt had been seen to use {readable(peak)}{had}. Give the worker more memory, or fewer slots "
        "(OASIS_CELERY_CONCURRENCY); with OASIS_WORKER_MEMORY_PER_SLOT it ends an attempt before the kernel has to."
    )


class MemoryGauge:
    """Measures one attempt. `peak` is the most that was seen, in bytes."""

    def __init__(
        self,
        resident: Callable[[int], int] = proc.resident_memory,
        proportional: Callable[[int], int] = proc.memory,
    ) -> None:
        self._resident = resident
        self._proportional = proportional
        self.peak = 0

    def measure(self, pids: Sequence[int]) -> int:
        """The bytes of all these processes, what they share counted once, or an upper bound that is no news.

        The cheap upper bound is the sum of the resident sets. Only where it is above all that was seen before is the
        dear measure taken, which walks the page tables.
        """
        bound = sum(map(self._resident, pids))
        if bound <= self.peak:
            return bound
        used = sum(map(self._proportional, pids))
        self.peak = max(self.peak, used)
        return used


def readable(size: int) -> str:
    """Bytes for people.

    >>> readable(3 * 1024**3 // 2), readable(300 * 1024**2), readable(12)
    ('1.5 GiB', '300.0 MiB', '12 bytes')
    """
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
