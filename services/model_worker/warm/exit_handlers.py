"""Exit handlers: a program runs its own, not those that the warm process has collected."""

import atexit
import logging
import multiprocessing.util
import weakref
from typing import Any


def forget_exit_handlers() -> None:
    """Drop the handlers of this process, and have those modules that register one register it again.

    weakref.finalize (under temporary directories, among others) and multiprocessing remember that they have registered
    theirs, and what for.
    """
    _attribute(atexit, "_clear")()
    _attribute(weakref.finalize, "_registry").clear()
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way
    _attribute(multiprocessing.util, "_finalizer_registry").clear()
    atexit.register(_attribute(multiprocessing.util, "_exit_function"))
    atexit.register(logging.shutdown)


def _attribute(owner: object, name: str) -> Any:
    """One that the standard library keeps to itself."""
    return getattr(owner, name)
