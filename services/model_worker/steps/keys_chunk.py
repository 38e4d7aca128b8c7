"""prepare-keys-file: look up the keys of one chunk of the locations."""

import logging
from pathlib import Path

import pandas as pd
from oasislmf.computation.generate.files import GenerateFiles
from oasislmf.lookup.factory import KeyServerFactory

from services.model_worker.step_contract import StepContext, StepResult

from . import archives, exposure, input_params
from .lookup_processes import in_the_order_of_one

logger = logging.getLogger(__name__)


def run(context: StepContext) -> StepResult:
    """Leaves `chunk_keys`: lookup-{n}.tar.gz, n from 1, with all that the lookup wrote."""
    chunk, chunks = context.chunk or 0, context.chunks or 1
    step = GenerateFiles(**input_params.load(context))
    rows = exposure.chunk_of(exposure.subjects_at_risk(exposure.load(step)), chunk, chunks)
    output = context.directory / f"lookup-{chunk + 1}"
    output.mkdir()
    if rows.empty:
        logger.info("There are more chunks than locations; this one has none.", extra={"chunks": chunks})
        _write_nothing(output)
    else:
        _look_up(step, rows, output, alone=chunks == 1)
    return StepResult({"chunk_keys": archives.create(context.directory / f"{output.name}.tar.gz", output)})


def _look_up(step: GenerateFiles, rows: pd.DataFrame, output: Path, *, alone: bool) -> None:
    """Run the model's lookup. Only an undivided one uses processes of its own: a chunk has one core."""
    _, server = KeyServerFactory.create(
        lookup_config_fp=step.lookup_config_json,
        model_keys_data_path=step.lookup_data_dir,
        model_version_file_path=step.model_version_csv,
        lookup_module_path=step.lookup_module_path,
        complex_lookup_config_fp=step.lookup_complex_config_json,
        user_data_dir=step.user_data_dir,
        output_directory=str(output),
    )
    with in_the_order_of_one():
        server.generate_key_files(
            location_df=rows,
            successes_fp=str(output / "keys.csv"),
            errors_fp=str(output / "keys-errors.csv"),
            output_format="oasis",
            keys_success_msg=False,
            multiproc_enabled=step.lookup_multiprocessing and alone,
            multiproc_num_cores=step.lookup_num_processes,
            multiproc_num_partitions=step.lookup_num_chunks,
        )


def _write_nothing(output: Path) -> None:
    for name in ("keys.csv", "keys-errors.csv"):
        (output / name).touch()
