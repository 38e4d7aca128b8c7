"""What a fleet backend can do: start workers, list its own, stop them, and say how they ended.

The same tests run over every backend (tests/worker_controller/test_fleets.py). A backend keeps its members when the
controller goes, and finds them again by their labels when it is back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from services.worker_controller.models_file import ModelEntry


@dataclass(frozen=True)
class Ended:
    """How a member ended; `reason` is a sentence for people.

    Of status and signal at most one is set: none where nobody can know, as of a host that is lost.
    """

    exit_status: int | None
    signal: int | None
    reason: str

    @property
    def in_order(self) -> bool:
        """Whether it left by itself, with nothing to complain of."""
        return self.exit_status == 0


@dataclass(frozen=True)
class Member:
    """A worker that the fleet has started. `age` in seconds since then; `ended` is None while it runs.

    `waiting` says why it does not run yet, where no host takes it; its age is then 0.
    """

    name: str
    queue: str
    age: float
    ended: Ended | None = None
    waiting: str = ""


_LONGEST_WORDS = 400


def by_status(code: int, words: str, where: str) -> str:
    """Why a worker ended by itself: its exit status, the last line that it left, and where there is more."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    last = f": {lines[-1][:_LONGEST_WORDS]}" if lines else ""
    return f"exit status {code}{last}; see {where}"


class Fleet(Protocol):
    """All methods are called in one thread and may raise FleetError."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def members(self) -> Sequence[Member]:
        """All that this fleet has started and not yet forgotten, also before a restart of the controller."""

    def start(self, name: str, model: ModelEntry) -> None:
        """Start a worker that calls itself `name` in its heartbeats. Returns before it serves."""

    def stop(self, name: str) -> None:
        """Ask a worker to stop; it drains within its own drain time. Nothing happens where it has ended."""

    def kill(self, name: str) -> None:
        """End a worker at once, with all that it has started."""

    def forget(self, name: str) -> None:
        """Remove what is left of a worker that has ended."""
