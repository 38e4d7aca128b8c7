"""analysis-task-statuses/{id}/attempts/: every execution of a sub-task, with its times, worker, cause and figures."""

from typing import Any

from flask import Response
from sqlalchemy import select

from services.api.call import Call
from services.api.http import json_answer
from services.api.listing import listed
from services.api.logs import origin_of
from services.api.serialize.moments import moment
from services.api.views.sub_tasks import find_sub_task
from shared.database.execution import Attempt


def list_attempts(call: Call, pk: int) -> Response:
    """The attempts of a sub-task, in the order of their fences; of a copied one those of its original."""
    query = select(Attempt).where(Attempt.sub_task_id == origin_of(find_sub_task(call, pk))).order_by(Attempt.fence)
    return json_answer([_attempt(attempt) for attempt in listed(call, query, {})])


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt_id": str(attempt.attempt_id),
        "fence": attempt.fence,
        "state": attempt.state,
        "worker": attempt.worker_id,
        "slot": attempt.slot,
        "granted": moment(attempt.granted_at),
        "started": moment(attempt.started_at),
        "finished": moment(attempt.finished_at),
        "ended": moment(attempt.ended_at),
        "cause": attempt.cause,
        "message": attempt.message,
        "exit_status": attempt.exit_status,
        "signal": attempt.signal,
        "peak_memory": attempt.peak_memory,
    }
