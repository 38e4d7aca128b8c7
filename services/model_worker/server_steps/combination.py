"""combine-losses: one set of losses out of those of several analyses. Source: oasis_api.md section 8.4."""

import json
import re
from pathlib import Path

from ods_tools.combine.combine import combine, prepare_config

from services.model_worker.step_contract import StepContext, StepResult
from services.model_worker.steps import archives

_SOURCE = re.compile(r"(input|output)_file_(\d+)")


def run(context: StepContext) -> StepResult:
    """Leaves `output_location`, an archive with the combined losses at its root."""
    config = json.loads(context.files["combine_config"].path.read_text(encoding="utf-8"))
    output = context.directory / "combined"
    combine(analysis_dirs=place(context), **prepare_config(config) | {"output_dir": str(output)})
    archive = context.directory / f"analysis_{context.analysis_id}_outputs.tar.gz"
    return StepResult({"output_location": archives.create(archive, output, level=archives.SMALL)})


def place(context: StepContext) -> list[str]:
    """Extract what each analysis has, `<n>/input` and `<n>/output`; returns the directories in the order asked for."""
    numbers = set()
    for name, file in context.files.items():
        match = _SOURCE.fullmatch(name)
        if match is None:
            continue
        numbers.add(int(match[2]))
        directory = context.directory / "analyses" / match[2]
        directory.mkdir(parents=True, exist_ok=True)
        # Output archives hold a folder of that name, input archives do not.
        if match[1] == "input":
            archives.extract(file.path, directory / "input")
        else:
            _extract_output(file.path, directory)
    return [str(context.directory / "analyses" / str(number)) for number in sorted(numbers)]


def _extract_output(archive: Path, directory: Path) -> None:
    whole = archives.extract(archive, directory / "whole")
    inner = whole / "output"
    (inner if inner.is_dir() else whole).rename(directory / "output")
