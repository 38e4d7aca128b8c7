"""Applications by the hundred: what all of them would compile alike is compiled once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from werkzeug.routing import Rule

_compile = Rule._compile_builder


@contextmanager
def routes_compiled_once() -> Iterator[None]:
    """Werkzeug compiles two functions for each route, to build URLs with, and takes nine tenths of `create_app` for it.

    They are the same in every application. Nothing here has ever called one.
    """
    known: dict[tuple[str, bool], Callable[..., tuple[str, str]]] = {}

    def compiled(rule: Rule, append_unknown: bool = True) -> Any:
        if (rule.rule, append_unknown) not in known:
            known[rule.rule, append_unknown] = _compile(rule, append_unknown)
        return known[rule.rule, append_unknown]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compiled)
        yield
