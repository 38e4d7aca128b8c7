"""transform-exposure: turn data of another format into an exposure file. Source: oasis_api.md section 8.4."""

import json
from pathlib import Path

from services.model_worker.step_contract import StepContext, StepResult
from services.model_worker.steps import workspace

from .complaints import result_or_complaint


def run(context: StepContext) -> StepResult:
    """Leaves the exposure file that was asked for, by its name (`location_file`, …), or `errors`."""
    params = json.loads(context.files["transform_params"].path.read_text(encoding="utf-8"))
    return result_or_complaint(context, params["field"], lambda: _transform(context))


def _transform(context: StepContext) -> Path:
    # Here, because it needs packages that ods-tools itself does not install: without them only this step complains.
    from ods_tools.odtf.controller import transform_format

    source, mapping = context.files["transform_file"], context.files["mapping_file"]
    place, output = context.directory / "sources", context.directory / "transformed.csv"
    place.mkdir()
    path = place / f"source{workspace.suffix(source.filename)}"
    path.symlink_to(source.path.absolute())
    named = place / "mapping.yaml"
    named.symlink_to(mapping.path.absolute())
    transform_format(mapping_file=str(named), input_file=str(path), output_file=str(output))
    return output
