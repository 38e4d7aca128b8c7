"""A document of somebody else, kept for a while, and used longer while nobody answers."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.api.errors import ProviderDown

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Pace:
    """Seconds."""

    good_for: float = 600.0
    """Then it is fetched again."""
    usable_for: float = 3600.0
    """So long it is used while it cannot be fetched again."""
    pause: float = 5.0
    """The least time between two fetches, whoever asks: many bad tokens are not many requests."""
    patience: float = 3.0
    """How long one waits for what another one fetches."""


class Kept(Generic[T]):
    """`fetch` raises ProviderDown. May be used in any thread; at most one fetches at a time."""

    def __init__(self, fetch: Callable[[], T], pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._pace = pace
        self._clock = clock
        self._lock = threading.Lock()
        self._value: T | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None
        self._failure: str | None = None

    def get(self) -> T:
        """The document, fetched where there is none or it is old. Raises ProviderDown where there is none to use."""
        value = self._value
        if value is None or self._age() >= self._pace.usable_for:
            return self.renew()
        # While one renews it, the others go on with what there is.
        if self._age() >= self._pace.good_for and self._lock.acquire(blocking=False):
            try:
                return self._renewed()
            except ProviderDown:
                return value
            finally:
                self._lock.release()
        return value

    def renew(self, old: T | None = None) -> T:
        """The document as it is now, or was within the pause. Raises ProviderDown.

        `old` lacked something: if there is a newer one already, that is it.
        """
        # Who waits for a provider that hangs does so for a moment, not in a row.
        if not self._lock.acquire(timeout=self._pace.patience):
            raise ProviderDown("it has not answered another request yet")
        try:
            if self._value is not None and old is not None and self._value is not old:
                return self._value
            return self._renewed()
        finally:
            self._lock.release()

    def _renewed(self) -> T:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < self._pace.pause:
            if self._failure is not None:
                raise ProviderDown(self._failure)
            if self._value is not None:
                return self._value
        try:
            self._value = self._fetch()
        except ProviderDown as error:
            log.warning("The provider does not answer", extra={"reason": error.reason})
            self._failure = error.reason
            raise
        finally:
            self._tried_at = self._clock()
        self._fetched_at, self._failure = now, None
        return self._value

    def _age(self) -> float:
        return self._clock() - self._fetched_at
