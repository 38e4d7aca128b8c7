"""What was asked for lately, by token."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST = 4096
_GOOD_FOR = 60.0
"""Seconds."""


class Remembered(Generic[T]):
    """May be used in any thread. The least recently asked goes first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._found: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def of(self, token: str, ask: Callable[[], T]) -> T:
        """What there is for the token, asked for where that is a minute ago. Whatever `ask` raises is raised."""
        key = sha256(token.encode()).digest()
        with self._lock:
            known = self._found.get(key)
        if known is not None and self._clock() - known[0] < _GOOD_FOR:
            return known[1]
        fresh = ask()
        with self._lock:
            self._found[key] = (self._clock(), fresh)
            self._found.move_to_end(key)
            while len(self._found) > _MOST:
                self._found.popitem(last=False)
        return fresh
