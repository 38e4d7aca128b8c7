"""`${NAME}` in the file of models, as in compose files: from the environment of the controller. Pure."""

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


class UnknownVariable(Exception):
    """A variable without a value is named, and no default stands beside it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"${{{name}}} has no value; set {name} for the controller, or write ${{{name}:-default}}")
        self.name = name


def interpolated(value: Any, environ: Mapping[str, str]) -> Any:
    """Texts with their `${NAME}` and `${NAME:-default}` replaced, however deep; `$${` stands for `${`.

    A variable that is empty counts as one that is not there. Raises UnknownVariable.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: _replacement(found, environ), value)
    if isinstance(value, list):
        return [interpolated(each, environ) for each in value]
    if isinstance(value, dict):
        return {key: interpolated(each, environ) for key, each in value.items()}
    return value


def _replacement(found: re.Match[str], environ: Mapping[str, str]) -> str:
    name, default = found["name"], found["default"]
    if name is None:
        return "${"
    text = environ.get(name) or default
    if text is None:
        raise UnknownVariable(name)
    return text
