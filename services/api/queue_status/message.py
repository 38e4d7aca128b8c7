"""The queue status as clients read it. Source: oasis_api.md section 5. No I/O."""

from collections.abc import Collection, Iterable
from typing import Any

from services.api.queue_status.numbers import LiveAnalysis, Queue, QueueStatus, Share
from services.api.serialize.moments import moment

UPDATED = "queue_status.updated"
FILTERED = "queue_status.filter"

_COUNTED = ("pending", "queued", "started", "completed", "cancelled", "error")


def message(status: QueueStatus, content: list[dict[str, Any]], kind: str = UPDATED) -> dict[str, Any]:
    """The whole message around a content."""
    head = {"time": moment(status.time), "type": kind, "status": "SUCCESS", "version": status.version}
    return head | {"content": content}


def content(status: QueueStatus, only: Collection[int] | None = None) -> list[dict[str, Any]]:
    """Queues that are in use, each with its analyses, or with those of these ids alone."""
    shown = [each for each in status.analyses if only is None or each.id in only]
    by_queue: dict[str, list[dict[str, Any]]] = {}
    for analysis in shown:
        body = {"analysis": _analysis_body(analysis), "updated_tasks": []}
        for name in sorted({share.queue for share in analysis.shares}):
            by_queue.setdefault(name, []).append(body)
    in_use = [queue for queue in status.queues if queue.is_in_use]
    return [{"queue": queue_body(queue), "analyses": by_queue.get(queue.name, [])} for queue in in_use]


def queue_body(queue: Queue) -> dict[str, Any]:
    """One queue. Every sub-task that is ready has a token, so what is queued is what the broker holds."""
    return {
        "name": queue.name,
        "pending_count": queue.pending,
        "queued_count": queue.queued,
        "running_count": queue.started,
        "queue_message_count": queue.queued,
        "worker_count": queue.workers,
        "unserved_reason": queue.unserved,
        "models": list(queue.models),
    }


def _analysis_body(analysis: LiveAnalysis) -> dict[str, Any]:
    return {
        "name": analysis.name,
        "id": analysis.id,
        "portfolio": analysis.portfolio,
        "model": analysis.model,
        "status": analysis.status,
        "priority": analysis.priority,
        "analysis_chunks": analysis.analysis_chunks,
        "lookup_chunks": analysis.lookup_chunks,
        "sub_task_count": sum(share.size for share in analysis.shares),
        "queue_names": sorted({share.queue for share in analysis.shares if share.waiting}),
        "status_count": _status_count(analysis.shares),
    }


def _status_count(shares: Iterable[Share]) -> dict[str, int]:
    found = list(shares)
    total = {"TOTAL_IN_QUEUE": sum(share.waiting for share in found), "TOTAL": sum(share.size for share in found)}
    return total | {name.upper(): sum(getattr(share, name) for share in found) for name in _COUNTED}
