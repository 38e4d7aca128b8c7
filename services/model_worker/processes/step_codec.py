"""JSON of what a step is given (`StepContext`) and of what it leaves (`StepReport`). Pure but for `read_report`."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cattrs import BaseValidationError, Converter

from services.model_worker.processes.errors import StepReportError
from services.model_worker.step_contract import InputFile, ModelPlace, StepContext

RESULT_NAME = "result.json"
"""Written beside the specification."""

LARGEST_REPORT = 16 * 1024**2
"""Bytes. The supervisor reads it as a whole."""

Outcome = Literal["completed", "no_keys", "failed", "out_of_memory"]


@dataclass(frozen=True)
class StepFailure:
    """An exception, in words."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True)
class StepReport:
    """What result.json says. `error` is None exactly when the outcome is "completed"."""

    outcome: Outcome
    artifacts: dict[str, Path] = field(default_factory=dict)
    """By artifact name; of a failed step, those that it got ready before it failed."""
    error: StepFailure | None = None


def encode_context(context: StepContext) -> bytes:
    """JSON of a context. Raises ValueError for a relative path: the step runs in another directory."""
    return _dump(context)


def decode_context(data: bytes) -> StepContext:
    """The reverse of `encode_context`; raises cattrs' errors, which name the field."""
    return _CONVERTER.structure(json.loads(data), StepContext)


def encode_report(report: StepReport) -> bytes:
    """JSON of a report. Raises ValueError for a relative path."""
    return _dump(report)


def decode_report(data: bytes) -> StepReport:
    """The reverse of `encode_report`; raises ValueError, or cattrs' errors, which name the field."""
    facts = json.loads(data)
    if not isinstance(facts, dict):
        raise ValueError("it holds no object")  # noqa: TRY004 one kind of error for whatever is wrong with the text
    return _CONVERTER.structure(facts, StepReport)


def read_report(spec_path: Path) -> StepReport:
    """The report of the step that was given `spec_path`. Raises StepReportError."""
    path = spec_path.with_name(RESULT_NAME)
    try:
        if path.stat().st_size > LARGEST_REPORT:
            raise StepReportError(path, f"it has more than {LARGEST_REPORT} bytes")
        return decode_report(path.read_bytes())
    except FileNotFoundError as error:
        raise StepReportError(path, "there is no such file") from error
    except (ValueError, BaseValidationError) as error:
        raise StepReportError(path, f"it cannot be read ({error!r})") from error


def _dump(value: StepContext | StepReport) -> bytes:
    return json.dumps(_CONVERTER.unstructure(value)).encode()


def _path_to_text(path: Path) -> str:
    if not path.is_absolute():
        raise ValueError(f"Paths between supervisor and step are absolute, this one is not: {path}")
    return str(path)


def _path_from_text(text: Any, _: type) -> Path:
    return Path(text)


def _converter() -> Converter:
    # Both ends are one installation: a key that is not known is a mistake.
    converter = Converter(forbid_extra_keys=True)
    converter.register_unstructure_hook(Path, _path_to_text)
    converter.register_structure_hook(Path, _path_from_text)
    return converter


_CONVERTER = _converter()


def _warm_up() -> None:
    """cattrs makes its functions at first use: make it now, before the fork server forks, not anew in every child.

    Twice, because what it makes for one class may make it forget what it has made for another.
    """
    nowhere = Path("/")
    place = ModelPlace("", "", "", nowhere, nowhere, None)
    context = StepContext("", "", 0, "", nowhere, place, files={"": InputFile(nowhere, "")})
    report = StepReport("failed", {"": nowhere}, StepFailure("", "", ""))
    for _ in range(2):
        decode_context(encode_context(context))
        decode_report(encode_report(report))


_warm_up()
