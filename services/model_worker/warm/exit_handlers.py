"""Exit handlers: a program runs its own and those of modules that it imports, not what the warm process collects."""

import atexit
import logging
import multiprocessing.util
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_OF_THE_WARM_PROCESS = frozenset({"weakref", "certifi.core"})
"""Modules whose handlers end what the warm process holds and its forks share: objects that would be freed one by one
(numba's finalizers), and a file of certificates that may be a temporary one."""


@dataclass(frozen=True)
class Handler:
    """A call of `atexit.register`."""

    function: Callable[..., object]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


@contextmanager
def noting_registrations() -> Iterator[list[Handler]]:
    """The handlers that modules register meanwhile, as they are imported."""
    noted: list[Handler] = []
    register = atexit.register

    def note(function: Callable[..., object], /, *arguments: Any, **options: Any) -> Callable[..., object]:
        if getattr(function, "__module__", None) not in _OF_THE_WARM_PROCESS:
            noted.append(Handler(function, arguments, options))
        return register(function, *arguments, **options)

    atexit.register = note  # type: ignore[assignment]
    try:
        yield noted
    finally:
        atexit.register = register


def keep_exit_handlers(handlers: Iterable[Handler]) -> None:
    """Drop the handlers of this process but `handlers`, and have the standard library's registered again.

    weakref.finalize (under temporary directories, among others) and multiprocessing remember that they have registered
    theirs, and what for.
    """
    _attribute(atexit, "_clear")()
    _attribute(weakref.finalize, "_registry").clear()
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way
    _attribute(multiprocessing.util, "_finalizer_registry").clear()
    atexit.register(_attribute(multiprocessing.util, "_exit_function"))
    atexit.register(logging.shutdown)
    for each in handlers:
        atexit.register(each.function, *each.arguments, **each.options)


def _attribute(owner: object, name: str) -> Any:
    """One that the standard library keeps to itself."""
    return getattr(owner, name)
