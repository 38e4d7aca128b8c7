"""Finds the names of the variables that the code reads, and those that the page of the configuration explains."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "configuration.md"

_WHOLE = re.compile(r"(?:OASIS|LOSSLINE)_[A-Z][A-Z0-9_]*[A-Z0-9]")
_OPTION = re.compile(r"[A-Z][A-Z0-9_]+")
_SECTION = re.compile(r"OASIS_(?:(?:SERVER|WORKER_MONITOR|WORKER_CONTROLLER|WORKER|CELERY|TASK_CONTROLLER)_)?")
_SOURCES = frozenset({"options", "lookup", "environ"})
"""What options are read from is called so throughout the code: an `Options`, a lookup, an environment."""


def plain(variable: str) -> str:
    """The variable without `OASIS_` and its section: `OASIS_SERVER_DB_HOST` and `OASIS_DB_HOST` are one option."""
    return _SECTION.sub("", variable)


def read_in_code() -> dict[str, str]:
    """Where each option is read: its plain name, and one of the files."""
    files = (path for package in ("services", "shared") for path in sorted((ROOT / package).rglob("*.py")))
    return {name: str(path.relative_to(ROOT)) for path in files for name in options_of(path.read_text("utf-8"))}


def options_of(source: str) -> set[str]:
    """The plain names of the options that a module reads."""
    nodes = list(ast.walk(ast.parse(source)))
    whole = {plain(text) for node in nodes for text in _texts([node], _WHOLE)}
    calls = (node for node in nodes if isinstance(node, ast.Call) and _reads_options(node))
    return whole | {text for call in calls for text in _texts(call.args, _OPTION) if not text.startswith("OASIS_")}


def explained_on_page(page: str) -> set[str]:
    """The plain names in the first cells of the page's tables."""
    cells = (line.split("|")[1] for line in page.splitlines() if line.startswith("|"))
    return {plain(text) for cell in cells for text in re.findall(r"`([A-Z][A-Z0-9_]+)`", cell)}


def _reads_options(call: ast.Call) -> bool:
    """`options.text("X")`, `lookup("X")` and `_helper(options, "X")`; not `Options("SECTION", environ)`."""
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value
        made = isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "Options"
        return made or (isinstance(owner, ast.Name) and owner.id in _SOURCES - {"environ"})
    if not isinstance(call.func, ast.Name) or call.func.id == "Options":
        return False
    given = {argument.id for argument in call.args if isinstance(argument, ast.Name)}
    return call.func.id in _SOURCES or bool(given & _SOURCES)


def _texts(nodes: list[ast.AST] | list[ast.expr], pattern: re.Pattern[str]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and pattern.fullmatch(node.value):
            yield node.value
