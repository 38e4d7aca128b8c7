"""The filters of the lists as parameters; what they are called says what they take."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from services.api.openapi.operations import Parameter, Properties
from services.api.schemas.requests import RUN_MODES
from shared.core.states import AnalysisStatus, SubTaskState

_DATES = ("created", "modified", "at")
_IDS = ("model", "resource_id")
_SEVERAL = "Several, repeated or separated by commas."

ANALYSIS_WORDS = {"status": tuple(AnalysisStatus), "run_mode": RUN_MODES}
SUB_TASK_WORDS = {"status": tuple(SubTaskState), "subtask_status": tuple(SubTaskState)}


def filters(
    names: Iterable[str], words: Mapping[str, Sequence[str]] | None = None, not_in_v1: Sequence[str] = ()
) -> tuple[Parameter, ...]:
    """One parameter for each filter; `words` are those that take one of a few."""
    return tuple(replace(_filter(name, words or {}), in_v1=name not in not_in_v1) for name in names)


def _filter(name: str, words: Mapping[str, Sequence[str]]) -> Parameter:
    field, _, kind = name.partition("__")
    if field in _DATES:
        return Parameter(name, "A day, at midnight UTC.", {"type": "string", "format": "date"})
    if kind == "in":
        return Parameter(name, _SEVERAL)
    if kind == "contains":
        return Parameter(name, "A part of it, whatever its case.")
    return Parameter(name, "", _schema(name, words))


def _schema(name: str, words: Mapping[str, Sequence[str]]) -> Properties:
    if name in _IDS:
        return {"type": "integer", "minimum": 1}
    return {"type": "string", "enum": [str(word) for word in words[name]]} if name in words else {"type": "string"}
