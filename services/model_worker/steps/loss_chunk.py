"""generate-losses-chunk: run the kernel over one chunk of the events, or over all of them on all cores."""

from pathlib import Path
from typing import Any

from oasislmf.manager import OasisManager

from services.model_worker.step_contract import StepContext, StepResult

from . import archives, loss_params, run_directory
from .errors import ModelFailedError
from .loss_directory import settled_settings

ALL_CORES = -1


def run(context: StepContext) -> StepResult:
    """Leaves `chunk_work_location` (work-{n}.tar.gz) and `chunk_log_location` (log-{n}.tar.gz), n from 1.

    Raises ModelFailedError with the logs when the kernel fails.
    """
    params = loss_params.load(context)
    packed, place = context.files["run_location"].path, Path(params["model_run_dir"])
    run_dir = run_directory.unpack(packed, place, params, context.trees)
    division = divide(context.chunk or 0, context.chunks or 1, params.get("kernel_num_processes", ALL_CORES))
    params |= division | {"analysis_settings_json": str(settled_settings(run_dir))}
    number = (context.chunk or 0) + 1
    ping = loss_params.ping_params(context)
    try:
        OasisManager().generate_losses_partial(**params, **ping)
    except Exception as error:
        raise ModelFailedError(f"The loss kernel failed: {error}", _log(context, run_dir, number)) from error
    work = run_dir / (f"{number}.work" if division["process_number"] else run_directory.WORK)
    archive = archives.create(context.directory / f"work-{number}.tar.gz", work)
    return StepResult({"chunk_work_location": archive, **_log(context, run_dir, number)})


def divide(chunk: int, chunks: int, cores: int) -> dict[str, Any]:
    """What tells the kernel its part. A single chunk is divided between the cores of the worker by the kernel itself.

    >>> divide(2, 4, -1)
    {'process_number': 3, 'max_process_id': 4}
    >>> divide(0, 1, 8)
    {'process_number': None, 'max_process_id': 8}
    """
    if chunks == 1:
        return {"process_number": None, "max_process_id": cores}
    return {"process_number": chunk + 1, "max_process_id": chunks}


def _log(context: StepContext, run_dir: Path, number: int) -> dict[str, Path]:
    archive = context.directory / f"log-{number}.tar.gz"
    return {"chunk_log_location": archives.create(archive, run_dir / run_directory.LOG)}
