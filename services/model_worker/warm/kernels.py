"""Compiled functions of the programs: which ones runs have used, and having them loaded before the next one.

Numba keeps machine code in files by function and signature, and loads it at the first call with such arguments. A
program that ends leaves a note of the signatures it has used beside that cache; a warm process that starts loads the
code of all that were noted. It never compiles what the cache has: a function whose code is not there is left to the
programs, which compile and cache it as ever.
"""

import hashlib
import logging
import os
import pickle
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn

log = logging.getLogger(__name__)

CACHE_VARIABLE = "NUMBA_CACHE_DIR"

Use = tuple[str, str, Any]
"""Module and name of a compiled function, and a signature."""


class NotCached(Exception):
    """There is no machine code for this function and signature."""


class Kernels:
    """The compiled functions in the modules of this process."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes
        self._functions = dict(_compiled_functions())
        self._known: dict[tuple[str, str], int] = {}
        """How many signatures of each were there before a program began; they stay, in order."""

    def load(self) -> None:
        """Load what was noted and is cached."""
        began = time.monotonic()
        noted = set(_read(self._notes))
        loaded = [use for use in sorted(noted, key=repr) if self._load(use)]
        self._known = {key: len(each.overloads) for key, each in self._functions.items()}
        facts = {"noted": len(noted), "loaded": len(loaded), "seconds": round(time.monotonic() - began, 3)}
        log.info("Compiled functions are loaded", extra=facts)

    def note(self) -> None:
        """Leave a note of what this process has used beyond what was loaded. Never fails: it is only a hint."""
        with suppress(Exception):
            if fresh := list(self._fresh()):
                _write(self._notes, fresh)

    def _load(self, use: Use) -> bool:
        module, name, signature = use
        function = self._functions.get((module, name))
        if function is None:
            return False
        try:
            with _no_compiling(function) if _has_cache(function) else nullcontext():
                function.compile(signature)
        except Exception as error:  # noqa: BLE001 - numba raises as it likes; it will be compiled where it is used
            log.debug("Not loaded", extra={"function": f"{module}.{name}", "error": repr(error)})
            return False
        return True

    def _fresh(self) -> Iterator[Use]:
        for key, each in self._functions.items():
            if len(each.overloads) > self._known.get(key, 0):
                yield from ((*key, signature) for signature in list(each.overloads)[self._known.get(key, 0) :])


def notes_directory(environ: Mapping[str, str]) -> Path | None:
    """Beside numba's cache where that has a place of its own."""
    cache = environ.get(CACHE_VARIABLE)
    return Path(cache) / "lossline-signatures" if cache else None


def _compiled_functions() -> Iterator[tuple[tuple[str, str], Any]]:
    from numba.core.dispatcher import Dispatcher  # late: the supervisor imports this package too

    for module_name, module in list(sys.modules.items()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if isinstance(value, Dispatcher) and value.py_func.__module__ == module_name:
                yield (module_name, name), value


def _has_cache(function: Any) -> bool:
    """One that has none would be compiled anew by every program: better once, here."""
    from numba.core.caching import NullCache

    return not isinstance(function._cache, NullCache)  # noqa: SLF001 - numba does not tell otherwise


@contextmanager
def _no_compiling(function: Any) -> Iterator[None]:
    def refuse(*_: object) -> NoReturn:
        raise NotCached

    function._compiler.compile = refuse  # noqa: SLF001 - numba has no "only if it is cached"
    try:
        yield
    finally:
        del function._compiler.compile  # noqa: SLF001


def _read(notes: Path) -> Iterator[Use]:
    for path in notes.glob("*.pickle") if notes.is_dir() else ():
        with suppress(Exception):  # of another version, or half a disk: a hint that cannot be read is none
            yield from pickle.loads(path.read_bytes())  # noqa: S301 - as numba does with the files beside it


def _write(notes: Path, uses: Iterable[Use]) -> None:
    ordered = sorted(uses, key=repr)
    path = notes / f"{hashlib.sha256(repr(ordered).encode()).hexdigest()[:24]}.pickle"
    if path.exists():
        return
    notes.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(pickle.dumps(ordered))
    partial.replace(path)
