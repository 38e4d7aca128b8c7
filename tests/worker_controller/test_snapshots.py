"""Messages of the queue status become demands, whole or not at all."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from services.worker_controller.rules import Demand
from services.worker_controller.snapshot import BadSnapshot, read_snapshot


def analysis(pk: int, priority: int, waiting: int, *queues: str) -> dict[str, Any]:
    body = {"id": pk, "priority": priority, "queue_names": list(queues), "status_count": {"TOTAL_IN_QUEUE": waiting}}
    return {"analysis": body, "updated_tasks": []}


MESSAGE: dict[str, Any] = {
    "type": "queue_status.updated",
    "status": "SUCCESS",
    "content": [
        {
            "queue": {"name": "S-M-1-v2", "pending_count": 5, "queued_count": 3, "running_count": 2},
            "analyses": [
                analysis(7, 4, 6, "S-M-1-v2"),
                analysis(8, 9, 4, "S-M-1-v2", "celery-v2"),
                analysis(3, 10, 1, "celery-v2"),
                analysis(2, 10, 0, "S-M-1-v2"),
            ],
        }
    ],
}


def test_a_demand_counts_what_waits_on_the_queue_and_the_analyses_behind_it() -> None:
    demand = Demand("S-M-1-v2", pending=5, ready=3, running=2, analyses=2, priority=9, oldest=7)
    assert read_snapshot(MESSAGE) == {"S-M-1-v2": demand}
    assert demand.remaining == 10
    assert read_snapshot(MESSAGE | {"content": []}) == {}


def broken(*path: Any, value: Any = None) -> dict[str, Any]:
    """The message with one part replaced, or gone."""
    message = copy.deepcopy(MESSAGE)
    part: Any = message
    for key in path[:-1]:
        part = part[key]
    if value is None:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return message


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        "text",
        broken("content"),
        broken("content", value="none"),
        broken("status", value="ERROR"),
        broken("type", value="queue_status.filter"),
        broken("content", 0, "queue"),
        broken("content", 0, "queue", "running_count"),
        broken("content", 0, "queue", "queued_count", value=-1),
        broken("content", 0, "queue", "queued_count", value="3"),
        broken("content", 0, "queue", "queued_count", value=True),
        broken("content", 0, "analyses"),
        broken("content", 0, "analyses", 0, "analysis", "queue_names"),
        broken("content", 0, "analyses", 0, "analysis", "priority", value=1.5),
    ],
)
def test_a_message_that_is_not_whole_is_no_snapshot(message: Any) -> None:
    with pytest.raises(BadSnapshot):
        read_snapshot(message)
