"""Preload functions that leave what a fork cannot have."""

import logging
import os
import sys
import threading

import tiny_programs

from services.model_worker.processes.errors import UnfitToFork
from services.model_worker.warm.leftovers import Leftovers


def _load_and(leave) -> None:
    before = Leftovers.now()
    tiny_programs.load()
    leave()
    if left := Leftovers.now().since(before):
        raise UnfitToFork(left)


def leave_thread() -> None:
    _load_and(threading.Thread(target=threading.Event().wait, daemon=True).start)


def leave_file() -> None:
    _load_and(lambda: os.open(os.devnull, os.O_RDONLY))


def leave_handler() -> None:
    _load_and(lambda: logging.getLogger("model").addHandler(logging.StreamHandler(sys.stderr)))


def leave_nothing() -> None:
    _load_and(lambda: None)
