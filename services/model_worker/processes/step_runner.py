"""The entry of a step process: context in, step, result.json out.

Exit status 0 when the step completed, 1 when it did not; result.json says which way it failed.
"""

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

from services.model_worker.log_limits import shortened
from services.model_worker.processes.registry import REGISTRY, REGISTRY_VARIABLE
from services.model_worker.processes.step_codec import (
    RESULT_NAME,
    Outcome,
    StepFailure,
    StepReport,
    decode_context,
    encode_report,
)
from services.model_worker.step_contract import StepContext, StepResult
from services.model_worker.steps.errors import NoKeysError

Step = Callable[[StepContext], StepResult]

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def run_step(spec_path: Path, steps: Mapping[str, Step] | None = None) -> int:
    """Run the step that the context in `spec_path` names, out of `steps` (default: the worker's).

    Never raises what a step raises.
    """
    _log_to_stdout()
    report = _report(spec_path, steps)
    _write_atomically(spec_path.with_name(RESULT_NAME), encode_report(report))
    return 0 if report.outcome == "completed" else 1


def _log_to_stdout() -> None:
    # force: what the fork server imported may have set up handlers for other streams.
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format=_LOG_FORMAT, force=True)


def _set_level(level: int) -> None:
    logging.getLogger().setLevel(level)
    # Without a level of its own, oasislmf formats all arguments of its functions, whole tables, for lines nobody reads.
    logging.getLogger("oasislmf").setLevel(level)


def _report(spec_path: Path, steps: Mapping[str, Step] | None) -> StepReport:
    try:
        context = decode_context(spec_path.read_bytes())
        _set_level(logging.DEBUG if context.debug else logging.INFO)
        step = (_worker_steps() if steps is None else steps)[context.step]
        return StepReport("completed", _checked(step(context).artifacts))
    except (Exception, SystemExit) as error:  # noqa: BLE001 models raise, and even exit, as they like
        traceback.print_exc()
        return failure_report(error)


def _worker_steps() -> Mapping[str, Step]:
    # Late: it imports oasislmf, which another registry may not need.
    return cast("Mapping[str, Step]", importlib.import_module(os.environ.get(REGISTRY_VARIABLE, REGISTRY)).STEPS)


def _checked(artifacts: Mapping[str, Path]) -> dict[str, Path]:
    missing = [f"{name} ({path})" for name, path in artifacts.items() if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"The step says that it completed, but left no file for: {', '.join(missing)}")
    return {name: path.absolute() for name, path in artifacts.items()}


def failure_report(error: BaseException) -> StepReport:
    """What an exception means. Its attribute `artifacts`, if it has one, holds files that were ready before it."""
    partial: Mapping[str, Path] = getattr(error, "artifacts", None) or {}
    return StepReport(
        outcome=_outcome(error),
        artifacts={name: path.absolute() for name, path in partial.items() if path.is_file()},
        error=StepFailure(
            type(error).__name__, shortened(str(error)), shortened("".join(traceback.format_exception(error)))
        ),
    )


def _outcome(error: BaseException) -> Outcome:
    # oasislmf wraps what it catches, so a MemoryError is often a cause.
    if any(isinstance(link, MemoryError) for link in _chain(error)):
        return "out_of_memory"
    return "no_keys" if isinstance(error, NoKeysError) else "failed"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what led to it."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_bytes(data)
    temporary.replace(path)
