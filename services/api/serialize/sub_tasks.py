"""Sub-tasks, which clients know as task statuses. Source: oasis_api.md section 1.7."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from services.api.call import Call
from services.api.serialize.moments import moment
from shared.core.states import SubTaskState
from shared.database.execution import Attempt, SubTask


def sub_task_bodies(call: Call, sub_tasks: Iterable[SubTask]) -> list[dict[str, Any]]:
    """Sub-tasks as JSON."""
    found = list(sub_tasks)
    logged = _logged(call, {each.run_id for each in found})
    return [_body(call, each, each.id in logged) for each in found]


def _logged(call: Call, run_ids: set[int]) -> set[int]:
    query = select(Attempt.sub_task_id).where(Attempt.run_id.in_(run_ids), Attempt.log_key.is_not(None))
    return set(call.session.scalars(query.distinct())) if run_ids else set()


def _body(call: Call, sub_task: SubTask, logged: bool) -> dict[str, Any]:
    url = call.url(f"analysis-task-statuses/{sub_task.id}/")
    return {
        "id": sub_task.id,
        "task_id": str(sub_task.task_id),
        "status": sub_task.state,
        "queue_name": sub_task.queue,
        "name": sub_task.name,
        "slug": sub_task.slug,
        "pending_time": moment(sub_task.pending_time),
        "queue_time": moment(sub_task.queue_time),
        "start_time": moment(sub_task.start_time),
        "end_time": moment(sub_task.end_time),
        "output_log": f"{url}output_log/" if logged else None,
        "error_log": f"{url}error_log/" if sub_task.state == SubTaskState.ERROR else None,
        "retry_log": f"{url}retry_log/" if sub_task.retry_count else None,
        "retry_count": sub_task.retry_count,
    }
