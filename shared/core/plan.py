"""The plan of a run: its stages in order. Source: oasis_api.md section 2.2, DESIGN.md section 4."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.core.states import RunKind

RECORDER_QUEUE = "celery-v2"
"""The queue of the record-* sub-tasks, which the worker monitor serves. Clients know it by this name."""


class Phase(StrEnum):
    """Which half of an analysis, or which work on a portfolio, a stage belongs to.

    It decides the status it leads to and the prefix of its keys.
    """

    INPUTS = "files"
    LOSSES = "losses"
    VALIDATION = "validation"
    EXPOSURE = "exposure"
    TRANSFORM = "transform"


ANALYSIS_PHASES = (Phase.INPUTS, Phase.LOSSES)
PORTFOLIO_PHASES = (Phase.VALIDATION, Phase.EXPOSURE, Phase.TRANSFORM)


class RunMode(StrEnum):
    """How a run is executed: undivided, by one worker on all its cores, or in chunks by many."""

    V1 = "V1"
    V2 = "V2"


class SlotWeight(StrEnum):
    """How much of a worker a sub-task takes."""

    ONE = "one"
    ALL = "all"


@dataclass(frozen=True)
class Stage:
    """Sub-tasks that become ready together: one, or the chunks of a parallel section."""

    position: int
    step: str
    name: str
    phase: Phase
    queue: str
    size: int = 1
    parallel: bool = False
    weight: SlotWeight = SlotWeight.ONE
    optional: bool = False
    """Its final failure changes no outcome (cleanup-*)."""


@dataclass(frozen=True)
class PlannedSubTask:
    """One row of the plan, in the order in which clients list them."""

    stage: int
    chunk: int
    slug: str
    name: str
    queue: str
    weight: SlotWeight


def plan_run(kind: RunKind, model_queue: str, lookup_chunks: int | None, loss_chunks: int | None) -> tuple[Stage, ...]:
    """The stages of a run on `model_queue`: of a v2 run, or of one that the internal worker executes.

    Chunk counts are at least 1 where the kind needs them.
    """
    stages: list[Stage] = _server_stages(kind, model_queue) if kind in _SERVER_STEPS else []
    if kind in (RunKind.GENERATE_INPUTS, RunKind.GENERATE_AND_RUN):
        stages += _input_stages(model_queue, _at_least_one("lookup_chunks", lookup_chunks))
    if kind in (RunKind.GENERATE_LOSSES, RunKind.GENERATE_AND_RUN):
        stages += _loss_stages(model_queue, _at_least_one("loss_chunks", loss_chunks), len(stages))
    return tuple(stages)


UNDIVIDED_STEPS = GENERATE_INPUT, RUN_ANALYSIS = "generate-input", "run-analysis"
"""The steps of v1, which do a whole phase: `generate_input` and `run_analysis` of oasis_api.md section 8.3."""


def plan_undivided(kind: RunKind, model_queue: str) -> tuple[Stage, ...]:
    """The stages of a v1 run: one sub-task does the work of its phase on every core of a worker.

    There are sub-tasks so that claims, leases, retries and cancelling are those of every run; clients are shown none.
    Raises ValueError for a kind that v1 does not have.
    """
    if kind == RunKind.GENERATE_INPUTS:
        return _undivided(Phase.INPUTS, GENERATE_INPUT, "Generate input", _input_stages(model_queue, 1)[-2:])
    if kind == RunKind.GENERATE_LOSSES:
        return _undivided(Phase.LOSSES, RUN_ANALYSIS, "Run analysis", _loss_stages(model_queue, 1, 0)[-2:])
    raise ValueError(f"A run of mode V1 is for inputs or for losses, not for both ({kind}).")


def sub_tasks_of(stages: tuple[Stage, ...]) -> Iterator[PlannedSubTask]:
    """All sub-tasks of the plan."""
    for stage in stages:
        for chunk in range(stage.size):
            yield PlannedSubTask(
                stage=stage.position,
                chunk=chunk,
                slug=f"{stage.step}-{chunk}" if stage.parallel else stage.step,
                name=f"{stage.name} {chunk}" if stage.parallel else stage.name,
                queue=stage.queue,
                weight=stage.weight,
            )


def storage_prefix(phase: Phase, owner_id: int, run_uuid: str) -> str:
    """Where the objects of a phase lie: `analysis-{id}_files-{run}/`, `portfolio-{id}_validation-{run}/`, …

    `owner_id`: of the analysis, or of the portfolio where the phase is of one.
    """
    owner = "portfolio" if phase in PORTFOLIO_PHASES else "analysis"
    return f"{owner}-{owner_id}_{phase}-{run_uuid}/"


def attempt_prefix(phase: Phase, owner_id: int, run_uuid: str, attempt_id: str) -> str:
    """Where one attempt writes its objects."""
    return f"{storage_prefix(phase, owner_id, run_uuid)}attempt-{attempt_id}/"


def log_key(run_uuid: str, attempt_id: str) -> str:
    """Where the log of an attempt lies, apart from its results: cleaning a run up keeps its logs."""
    return f"{log_prefix(run_uuid)}attempt-{attempt_id}.log"


def log_prefix(run_uuid: str) -> str:
    """Where the logs of a run lie."""
    return f"logs/run-{run_uuid}/"


def _at_least_one(name: str, count: int | None) -> int:
    if count is None or count < 1:
        raise ValueError(f"{name} must be at least 1, not {count}")
    return count


def _undivided(phase: Phase, step: str, name: str, ending: list[Stage]) -> tuple[Stage, ...]:
    """The step, then what every phase ends with: recording, on the recorder's queue, and cleaning up."""
    first = Stage(0, step, name, phase, ending[-1].queue, weight=SlotWeight.ALL)
    return first, *(replace(stage, position=at) for at, stage in enumerate(ending, start=1))


def _input_stages(queue: str, chunks: int) -> list[Stage]:
    phase = Phase.INPUTS
    return [
        Stage(0, "prepare-input-generation-params", "Prepare input generation params", phase, queue),
        Stage(1, "pre-analysis-hook", "Pre analysis hook", phase, queue),
        Stage(2, "prepare-keys-file", "Prepare keys file", phase, queue, size=chunks, parallel=True),
        Stage(3, "collect-keys", "Collect keys", phase, queue),
        Stage(4, "write-input-files", "Write input files", phase, queue),
        Stage(5, "record-input-files", "Record input files", phase, RECORDER_QUEUE),
        Stage(6, "cleanup-input-generation", "Cleanup input generation", phase, queue, optional=True),
    ]


def _loss_stages(queue: str, chunks: int, at: int) -> list[Stage]:
    phase = Phase.LOSSES
    weight = SlotWeight.ALL if chunks == 1 else SlotWeight.ONE
    directory = "Prepare losses generation directory"
    return [
        Stage(at, "prepare-losses-generation-params", "Prepare losses generation params", phase, queue),
        Stage(at + 1, "prepare-losses-generation-directory", directory, phase, queue),
        Stage(at + 2, "generate-losses-chunk", "Generate losses chunk", phase, queue, chunks, True, weight),
        Stage(at + 3, "generate-losses-output", "Generate losses output", phase, queue, weight=SlotWeight.ALL),
        Stage(at + 4, "record-losses-files", "Record losses files", phase, RECORDER_QUEUE),
        Stage(at + 5, "cleanup-losses-generation", "Cleanup losses generation", phase, queue, optional=True),
    ]


_SERVER_STEPS = {
    RunKind.COMBINE: ("combine-losses", "record-combined-losses", "cleanup-losses-generation", Phase.LOSSES),
    RunKind.VALIDATE: ("validate-exposure", "record-validation", "cleanup-validation", Phase.VALIDATION),
    RunKind.EXPOSURE_RUN: ("run-exposure", "record-exposure-run", "cleanup-exposure-run", Phase.EXPOSURE),
    RunKind.EXPOSURE_TRANSFORM: ("transform-exposure", "record-transform", "cleanup-transform", Phase.TRANSFORM),
}
"""The step on the internal worker, the one that records its result, the one that cleans up, and their phase."""


def _server_stages(kind: RunKind, queue: str) -> list[Stage]:
    work, record, cleanup, phase = _SERVER_STEPS[kind]
    return [
        Stage(0, work, _title(work), phase, queue),
        Stage(1, record, _title(record), phase, RECORDER_QUEUE),
        Stage(2, cleanup, _title(cleanup), phase, queue, optional=True),
    ]


def _title(step: str) -> str:
    return step.replace("-", " ").capitalize()
