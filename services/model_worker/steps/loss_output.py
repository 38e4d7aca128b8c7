"""generate-losses-output: put the work of the chunks together and write the loss tables."""

import re
from pathlib import Path
from typing import Any

from oasislmf.computation.generate.losses import GenerateLossesOutput
from oasislmf.execution.bash import EVE_SHUFFLE_OPTIONS
from oasislmf.manager import OasisManager
from oasislmf.utils.defaults import EVE_DEFAULT_SHUFFLE

from services.model_worker.step_contract import StepContext, StepResult

from . import archives, loss_params, run_directory
from .errors import MissingFileError, ModelFailedError
from .loss_directory import inputs_archive, settled_settings

PROCESS_OF_FILE = re.compile(r"(?:.*_)?P(\d+)(?:\.\w+)?")
OCCURRENCE = "occurrence.bin"


class TablesOfRun(GenerateLossesOutput):  # type: ignore[misc]  # oasislmf has no types
    """oasislmf's output command, told two options that the undivided command heeds and this one does not."""

    def _get_model_runner(self) -> tuple[Any, str | None]:
        runner, package = super()._get_model_runner()
        return _RunnerWith(runner, output_options(self.kwargs)), package


class _RunnerWith:
    """A model runner whose output script is written with the given options."""

    def __init__(self, runner: Any, options: dict[str, bool]) -> None:
        self._runner = runner
        self._options = options

    def run_outputs(self, **params: Any) -> Any:
        return self._runner.run_outputs(**{**params, **self._options})


def run(context: StepContext) -> StepResult:
    """Leaves `output_location` (output.tar.gz, members output/…), `run_logs`, and, if the run chose an occurrence set,
    `input_with_occurrence` (the inputs archive with it).

    Raises ModelFailedError with the tables and logs that there are when the kernel or the hook fails.
    """
    params = loss_params.load(context)
    packed, place = context.files["run_location"].path, Path(params["model_run_dir"])
    run_dir = run_directory.unpack(packed, place, params, context.trees)
    _gather(context, run_dir)
    params |= {
        "analysis_settings_json": str(settled_settings(run_dir)),
        "max_process_id": process_count(run_dir / run_directory.WORK, len(context.chunk_files)),
    }
    try:
        TablesOfRun(**params).run()
        if params.get("post_analysis_module"):
            OasisManager().post_analysis(**params)
    except Exception as error:
        raise ModelFailedError(f"Loss tables cannot be written: {error}", results(context, run_dir)) from error
    return StepResult(results(context, run_dir) | _inputs_with_occurrence(context, run_dir))


def output_options(params: dict[str, Any]) -> dict[str, bool]:
    """What the shuffling of events and the joining of summaries mean for the output script."""
    shuffle = int(params.get("kernel_event_shuffle", EVE_DEFAULT_SHUFFLE))
    return {
        "kat_sort_by_event": EVE_SHUFFLE_OPTIONS[shuffle]["kat_sorting"],
        "join_summary_info": bool(params.get("join_summary_info", False)),
    }


def process_count(work: Path, chunks: int) -> int:
    """How many kernel processes did the work.

    A single chunk ran one process for each core of its worker, and this worker may have more or fewer: ask the files.
    """
    if chunks > 1:
        return chunks
    names = (PROCESS_OF_FILE.fullmatch(path.name) for path in work.rglob("*"))
    return max((int(name.group(1)) for name in names if name), default=1)


def _gather(context: StepContext, run_dir: Path) -> None:
    if not context.chunk_files:
        raise MissingFileError("generate-losses-output was handed no chunks; the losses must be run again.")
    places = {"chunk_work_location": run_directory.WORK, "chunk_log_location": run_directory.LOG}
    for name, place in places.items():
        archives.extract_into([files[name].path for files in context.chunk_files], run_dir / place)


def results(context: StepContext, run_dir: Path) -> dict[str, Path]:
    """`output_location` and `run_logs`, from a run directory whose kernel has ended."""
    output = context.directory / "output.tar.gz"
    logs = context.directory / f"analysis_{context.analysis_id}_logs.tar.gz"
    return {
        "output_location": archives.create(
            output, run_dir / run_directory.OUTPUT, prefix=run_directory.OUTPUT, level=archives.SMALL
        ),
        "run_logs": archives.create(logs, run_dir / run_directory.LOG, level=archives.SMALL),
    }


def _inputs_with_occurrence(context: StepContext, run_dir: Path) -> dict[str, Path]:
    occurrence = run_dir / run_directory.INPUT / OCCURRENCE
    if not occurrence.is_file():
        return {}
    target = context.directory / f"analysis_{context.analysis_id}_inputs.tar.gz"
    archive = archives.copy_with(inputs_archive(context).path, target, occurrence)
    return {"input_with_occurrence": archive} if archive else {}
