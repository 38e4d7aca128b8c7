"""Figures of what the controller decides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.worker_controller.pacing import Target
from shared.metrics import Counter, Figure, Gauge, Metric

WANTED = Metric("lossline_workers_wanted", "Workers that a queue is to have.", ("queue",))
DECISIONS = Metric(
    "lossline_scale_decisions_total", "How often a queue was to have more workers, or fewer.", ("queue", "direction")
)
STARTS = Metric("lossline_worker_starts_total", "Workers that were started, or could not be.", ("queue", "outcome"))
DEATHS = Metric("lossline_worker_deaths_total", "Workers that were found dead; who was told to leave is not one.")


@dataclass(frozen=True)
class Decided:
    """What this process has decided, and what came of it."""

    decisions: Counter = field(default_factory=lambda: Counter(DECISIONS))
    starts: Counter = field(default_factory=lambda: Counter(STARTS))
    deaths: Counter = field(default_factory=lambda: Counter(DEATHS))

    def figures(self, targets: Callable[[], Mapping[str, Target]]) -> Sequence[Figure]:
        """All of them; `targets` are those of now."""
        wanted = Gauge(WANTED, lambda: {(queue,): target.workers for queue, target in targets().items()})
        return (wanted, self.decisions, self.starts, self.deaths)

    def target(self, queue: str, before: int, after: int) -> None:
        """A queue is to have another number of workers."""
        self.decisions.add(queue, "more" if after > before else "fewer")
