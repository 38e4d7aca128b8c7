"""What `benchmarks.kernels` finds out, as its JSON has it. Seconds."""

from dataclasses import dataclass, field
from statistics import median

from benchmarks.whole_platform import Span


@dataclass(frozen=True)
class Stage:
    """The kernel stage: one run script, by both kinds of programs."""

    case: str
    processes: int
    warm: list[float]
    plain: list[float]
    different: list[str]
    """Output files that are not the same bytes."""

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return median(self.warm) / median(self.plain)


@dataclass(frozen=True)
class Steps:
    """The steps of a v2 run on the slots of one worker, and `oasislmf model generate-losses`."""

    case: str
    chunks: int
    slots: int
    steps: float
    command: float


@dataclass(frozen=True)
class PlatformRun:
    """Requests to the whole platform, and the commands `generate-oasis-files` and `generate-losses`."""

    case: str
    shape: str
    inputs: list[float]
    losses: list[float]
    command_inputs: float
    command_losses: float
    different: list[str]
    """Output files that are not those of the command."""
    spans: list[Span]
    """Of the last round."""

    @property
    def inputs_ratio(self) -> float:
        """Of the median."""
        return median(self.inputs) / self.command_inputs

    @property
    def losses_ratio(self) -> float:
        """Of the median."""
        return median(self.losses) / self.command_losses


@dataclass
class Results:
    """One run of the benchmark."""

    load_before: float
    load_after: float = 0.0
    start_ms: float | None = None
    plain_start_ms: float | None = None
    warm_process_mib: float | None = None
    demo: float | None = None
    stages: list[Stage] = field(default_factory=list)
    steps: list[Steps] = field(default_factory=list)
    runs: list[PlatformRun] = field(default_factory=list)

    @property
    def all_same(self) -> bool:
        """Whether all outputs were."""
        return not any(each.different for each in (*self.stages, *self.runs))
