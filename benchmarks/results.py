"""What was measured, as values: written as JSON, shown as tables. Seconds unless a name says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Quantiles:
    """Of a set of durations, in milliseconds."""

    median_ms: float
    p90_ms: float
    count: int

    @classmethod
    def of(cls, seconds: list[float]) -> "Quantiles":
        """Of durations in seconds, at least one."""
        ordered = sorted(seconds)
        return cls(1000 * median(ordered), 1000 * ordered[int(0.9 * (len(ordered) - 1))], len(ordered))


@dataclass(frozen=True)
class Orchestration:
    """One number of chunks: the rounds of each side, taken in turns, and the gaps of all of our rounds."""

    chunks: int
    lossline: list[float]
    children_kept: list[float]
    gap: Quantiles
    processor_ms: Mapping[str, float]
    """Processor time a sub-task by service, without its step's own process."""
    child_per_task: float | None = None

    @property
    def to_best(self) -> float:
        """Ratio of the medians to Celery with children kept."""
        return median(self.lossline) / median(self.children_kept)

    @property
    def to_shipped(self) -> float | None:
        """Ratio to Celery with a child per task."""
        return median(self.lossline) / self.child_per_task if self.child_per_task else None


@dataclass(frozen=True)
class Throughput:
    """Sub-tasks a second through one task controller, by size of the run, and its resident memory."""

    workers: int
    few: int
    few_per_second: list[float]
    many: int
    many_per_second: float
    memory_before_mib: float
    memory_after_mib: float


@dataclass(frozen=True)
class Memory:
    """Proportional memory of idle services, in MiB; of the worker without its fork server, which is model code."""

    services_mib: Mapping[str, float]

    @property
    def total_mib(self) -> float:
        """All together."""
        return sum(self.services_mib.values())


@dataclass
class Results:
    """One run of the benchmark."""

    machine: str
    load_before: float
    load_after: float = 0.0
    orchestration: list[Orchestration] = field(default_factory=list)
    throughput: Throughput | None = None
    memory: Memory | None = None
