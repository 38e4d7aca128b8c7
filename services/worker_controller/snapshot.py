"""Reads a message of the queue status into demands, whole or not at all. Source: oasis_api.md section 5. Pure."""

from collections.abc import Mapping
from typing import Any

from services.worker_controller.rules import Demand


class BadSnapshot(ValueError):
    """A message is no whole queue status; nothing may be decided from it."""


def read_snapshot(message: Any) -> Mapping[str, Demand]:
    """Demand by queue. Raises BadSnapshot."""
    try:
        if message["type"] != "queue_status.updated" or message["status"] != "SUCCESS":
            raise BadSnapshot(f"it is {message['type']!r} with status {message['status']!r}")
        demands = [_demand(entry) for entry in message["content"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BadSnapshot):
            raise
        raise BadSnapshot(f"it is not of the agreed shape: {error!r}") from error
    return {demand.queue: demand for demand in demands}


def _demand(entry: Mapping[str, Any]) -> Demand:
    queue, name = entry["queue"], str(entry["queue"]["name"])
    analyses = [each["analysis"] for each in entry["analyses"]]
    ours = [each for each in analyses if name in each["queue_names"] and _count(each["status_count"], "TOTAL_IN_QUEUE")]
    return Demand(
        name,
        pending=_count(queue, "pending_count"),
        ready=_count(queue, "queued_count"),
        running=_count(queue, "running_count"),
        analyses=len(ours),
        priority=max((_count(each, "priority") for each in ours), default=0),
        oldest=min((_count(each, "id") for each in ours), default=0),
    )


def _count(numbers: Mapping[str, Any], name: str) -> int:
    value = numbers[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadSnapshot(f"{name} is {value!r}")
    return value
