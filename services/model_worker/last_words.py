"""Why a worker cannot serve, left where its fleet finds it: so that the queue can say why nobody serves it."""

import os
import sys
from contextlib import suppress
from pathlib import Path


def give_up(error: Exception, status: int) -> int:
    """Say what is wrong on standard error, as the last line, and in the file that a fleet of processes names.

    Returns the exit status.
    """
    sys.stderr.write(f"{error}\n")
    path = os.environ.get("LOSSLINE_LAST_WORDS")
    if path:
        with suppress(OSError):  # a disk that is full, perhaps; the log has it too
            Path(path).write_text(f"{error}\n", encoding="utf-8")
    return status
