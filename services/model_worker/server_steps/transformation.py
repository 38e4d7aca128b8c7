"""transform-exposure: turn data of another format into an exposure file. Source: oasis_api.md section 8.4."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.model_worker.step_contract import StepContext, StepResult
from services.model_worker.steps import workspace

from .complaints import result_or_complaint

CONTROLLER = "ods_tools.odtf.controller"
"""The logger by which alone `transform_format` tells that it has failed."""


class TransformationFailedError(Exception):
    """The file cannot be transformed by this mapping."""


def run(context: StepContext) -> StepResult:
    """Leaves the exposure file that was asked for, by its name (`location_file`, …), or `errors`."""
    params = json.loads(context.files["transform_params"].path.read_text(encoding="utf-8"))
    return result_or_complaint(context, params["field"], lambda: _transform(context))


def _transform(context: StepContext) -> Path:
    # Here, because no other step needs what it imports.
    from ods_tools.odtf.controller import transform_format

    source, mapping = context.files["transform_file"], context.files["mapping_file"]
    place, output = context.directory / "sources", context.directory / "transformed.csv"
    place.mkdir()
    path = place / f"source{workspace.suffix(source.filename)}"
    path.symlink_to(source.path.absolute())
    named = place / "mapping.yaml"
    named.symlink_to(mapping.path.absolute())
    with _logged_errors_raised():
        transform_format(mapping_file=str(named), input_file=str(path), output_file=str(output))
    return output


@contextmanager
def _logged_errors_raised() -> Iterator[None]:
    """Raises TransformationFailedError with what was logged as an error meanwhile."""
    said: list[str] = []
    listener = logging.Handler(logging.ERROR)
    listener.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(CONTROLLER)
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
    if said:
        raise TransformationFailedError("\n".join(said))
