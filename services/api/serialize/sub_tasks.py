"""Sub-tasks, which clients know as task statuses. Source: oasis_api.md section 1.7."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import or_, select

from services.api.among import among
from services.api.call import Call
from services.api.logs import origin_of
from services.api.serialize.moments import moment
from shared.core.states import SubTaskState
from shared.database.execution import Attempt, SubTask


def sub_task_bodies(call: Call, sub_tasks: Iterable[SubTask]) -> list[dict[str, Any]]:
    """Sub-tasks as JSON."""
    found = list(sub_tasks)
    logged = _logged(call, found)
    return [_body(call, each, origin_of(each) in logged) for each in found]


def _logged(call: Call, sub_tasks: list[SubTask]) -> set[int]:
    """Those that have a log, and the originals that copies of a resumed run have theirs from."""
    runs = {each.run_id for each in sub_tasks}
    originals = {each.copied_from_id for each in sub_tasks if each.copied_from_id is not None}
    concerned = or_(among(Attempt.run_id, runs), among(Attempt.sub_task_id, originals))
    query = select(Attempt.sub_task_id).where(concerned, Attempt.log_key.is_not(None))
    return set(call.session.scalars(query.distinct())) if sub_tasks else set()


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
