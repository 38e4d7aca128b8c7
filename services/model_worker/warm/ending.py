"""Running a program's code and ending as the interpreter would, but without freeing what the warm process holds."""

import atexit
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import CodeType, TracebackType
from typing import Any, NoReturn

# Looked up in the warm process: nothing is loaded after a fork.
_FLUSH_C = ctypes.CDLL(None).fflush

_FLUSH_FAILED = 120
"""Python's exit status when standard output cannot be flushed."""


def run_and_end(
    code: CodeType, namespace: dict[str, Any], last: Callable[[], None], say: Callable[[int], None]
) -> NoReturn:
    """Run a module's code and leave the process with its exit status, or by the signal of a KeyboardInterrupt.

    `last` is called when all that the program has to say is said, and `say` at the very end, with the exit status.
    """
    status = 1
    try:
        status = _run(code, namespace) & 0xFF
        last()
        say(status)
    finally:
        os._exit(status)


def _run(code: CodeType, namespace: dict[str, Any]) -> int:
    status = 0
    interrupted = False
    try:
        exec(code, namespace)  # noqa: S102 - the script of an installed program
    except SystemExit as leaving:
        status = _status_of(leaving)
    except BaseException as error:  # noqa: BLE001 - the interpreter's own end of a program
        interrupted = isinstance(error, KeyboardInterrupt)
        trace = _from_program(error.__traceback__, code)
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        status = 1
    _finish_threads_and_handlers()
    flushed = _flush()
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return status if flushed else _FLUSH_FAILED


def _status_of(leaving: SystemExit) -> int:
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code
    if sys.stderr is not None:
        sys.stderr.write(f"{leaving.code}\n")
    return 1


def _from_program(trace: TracebackType | None, code: CodeType) -> TracebackType | None:
    """The traceback from the program's first line on."""
    while trace is not None and trace.tb_frame.f_code is not code:
        trace = trace.tb_next
    return trace


def _finish_threads_and_handlers() -> None:
    shutdown: Any = vars(threading)["_shutdown"]
    shutdown()
    run_handlers: Any = vars(atexit)["_run_exitfuncs"]
    run_handlers()


def _flush() -> bool:
    """Both the streams of Python and those of C (printing from compiled functions)."""
    flushed = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception as error:  # noqa: BLE001 - as the interpreter: told, and counted for standard output only
            flushed = flushed and stream is not sys.stdout
            _tell_unraisable(error, stream)
    _FLUSH_C(None)
    return flushed


def _tell_unraisable(error: Exception, stream: object) -> None:
    if sys.stderr is not None and stream is sys.stdout:
        sys.stderr.write(f"Exception ignored in: {stream!r}\n{type(error).__name__}: {error}\n")
