"""What the value of each key of an entry of the file of models must be. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from services.worker_controller.errors import BadModelsFile
from services.worker_controller.placing import is_constraint

Check = Callable[[str, Any], Any]
_RUN_MODES = ("v1", "v2")


def checked(where: str, key: str, value: Any) -> Any:
    """The value as an entry has it. Raises BadModelsFile; `where` is what its message begins with."""
    check: Check = _CHECKS.get(key, _text_or_none)
    return check(where, value)


def _environment(where: str, value: Any) -> Mapping[str, str | None]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise BadModelsFile(f"{where} must be a mapping of variables")
    wrong = [key for key, each in value.items() if not isinstance(each, str | int | float | None)]
    if wrong:
        raise BadModelsFile(f"{where}: the value of {', '.join(wrong)} must be a text")
    return {key: None if each is None else str(each) for key, each in value.items()}


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadModelsFile(f"{where} must be a list of texts")
    return tuple(value)


def _constraints(where: str, value: Any) -> tuple[str, ...]:
    found = _texts(where, value)
    wrong = [each for each in found if not is_constraint(each)]
    if wrong:
        raise BadModelsFile(f"{where}: {wrong[0]!r} is no constraint like `node.labels.disk == ssd`")
    return found


def _yes_or_no(where: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise BadModelsFile(f"{where} must be true or false, not {value!r}")


def _whole(where: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise BadModelsFile(f"{where} must be a whole number above 0, not {value!r}")


def _number_or_none(where: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
        return value
    raise BadModelsFile(f"{where} must be a number above 0, not {value!r}")


def _gpus(where: str, value: Any) -> Any:
    return value if value in (None, "all") else _whole(where, value)


def _text(where: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise BadModelsFile(f"{where} must be a text, not {value!r}; put it in quotes")


def _text_or_none(where: str, value: Any) -> str | None:
    return None if value is None else _text(where, value)


def _run_mode(where: str, value: Any) -> str:
    if isinstance(value, str) and value.lower() in _RUN_MODES:
        return value.lower()
    raise BadModelsFile(f"{where} must be v1 or v2, not {value!r}")


_CHECKS: Mapping[str, Check] = {
    "supplier": _text,
    "model": _text,
    "version": _text,
    "run_mode": _run_mode,
    "environment": _environment,
    "command": _texts,
    "volumes": _texts,
    "networks": _texts,
    "secrets": _texts,
    "placement": _constraints,
    "read_only": _yes_or_no,
    "slots": _whole,
    "cpus": _number_or_none,
    "gpus": _gpus,
    "start_within": _number_or_none,
}
"""Keys that are not here are texts, or null."""
