"""What is known of the queues at one moment, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Share:
    """The sub-tasks of one run on one queue, counted by state."""

    queue: str
    size: int
    pending: int
    queued: int
    started: int
    completed: int
    error: int
    cancelled: int

    @property
    def waiting(self) -> int:
        """Those that have not ended."""
        return self.pending + self.queued + self.started


@dataclass(frozen=True)
class LiveAnalysis:
    """An analysis whose current run has not ended, with what its run has on each queue."""

    id: int
    name: str
    portfolio: int
    model: int | None
    status: str
    priority: int
    analysis_chunks: int | None
    lookup_chunks: int | None
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Queue:
    """One queue. `models` are bodies as `/v2/models/` has them, with paths for links."""

    name: str
    pending: int = 0
    queued: int = 0
    started: int = 0
    workers: int = 0
    models: tuple[Mapping[str, Any], ...] = ()
    unserved: str | None = None
    """Why nobody serves it though work waits, where its worker controller has said so."""

    @property
    def is_in_use(self) -> bool:
        """Whether anything waits, runs or serves there."""
        return any((self.pending, self.queued, self.started, self.workers))


@dataclass(frozen=True)
class QueueStatus:
    """All of it. `version` grows with every status that anybody reads, `time` is the database's clock."""

    version: int
    time: datetime
    queues: tuple[Queue, ...]
    analyses: tuple[LiveAnalysis, ...]
