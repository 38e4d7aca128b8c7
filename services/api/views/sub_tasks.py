"""sub_task_list/ and analysis-task-statuses/. Source: oasis_api.md sections 1.5 and 1.7.

The lists show the sub-tasks of current runs; one by one those of earlier runs are there too, while the run is kept.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flask import Response
from sqlalchemy import Select, String, cast, func, select, union
from sqlalchemy.orm import Session

from services.api.call import Call
from services.api.downloads import stream_answer
from services.api.errors import BadRequest, NotFound
from services.api.filters import choice_filters, text_filters, time_filters, user_filter
from services.api.http import body_of, json_answer
from services.api.listing import listed
from services.api.log_answers import output_log_answer
from services.api.logs import Part, compose, error_log, retry_log
from services.api.lookups import find_analysis
from services.api.progress import progress_of
from services.api.serialize.sub_tasks import sub_task_bodies
from shared.core.plan import RunMode
from shared.core.states import SubTaskState
from shared.database.execution import Run, SubTask
from shared.database.portfolio_runs import RUN_COLUMNS
from shared.database.resources import Analysis, Portfolio

Handler = Callable[[Call, int], Response]
Composer = Callable[[Session, SubTask], Sequence[Part] | None]

_STATUS = choice_filters("status", SubTask.state, tuple(SubTaskState))
_MODIFIED = func.greatest(SubTask.pending_time, SubTask.queue_time, SubTask.start_time, SubTask.end_time)
FILTERS = (
    text_filters(name=SubTask.name, slug=SubTask.slug, queue_name=SubTask.queue)
    | _STATUS
    | user_filter(Run.requested_by_id)
    | time_filters(SubTask.pending_time, _MODIFIED)
)
_OF_ANALYSIS = {
    "subtask_status": choice_filters("subtask_status", SubTask.state, tuple(SubTaskState))["subtask_status"],
    "subtask_slug": text_filters(slug=SubTask.slug)["slug__contains"],
}


def list_of_analysis(call: Call, pk: int) -> Response:
    """The sub-tasks of the analysis' current run."""
    return _sub_tasks_answer(call, _divided().where(SubTask.run_id == find_analysis(call, pk).current_run_id))


def list_of_run(call: Call, run_id: int) -> Response:
    """The sub-tasks of any run; of one of v1 too, whose work can be watched here."""
    return _sub_tasks_answer(call, select(SubTask).where(SubTask.run_id == run_id))


def get_run_progress(call: Call, pk: int) -> Response:
    """How many events of the losses are done, as a sentence."""
    analysis = find_analysis(call, pk)
    runs = progress_of(call.session, [analysis.current_run_id] if analysis.current_run_id else [])
    complete, total = next(((each.events_complete, each.events_total) for each in runs.values()), (0, 0))
    return json_answer({"Status": f"{complete}/{total} gul stages complete"})


def list_task_statuses(call: Call) -> Response:
    """The sub-tasks of all current runs, of analyses and of portfolios."""
    of_analyses = select(SubTask.id).join(Analysis, Analysis.current_run_id == SubTask.run_id)
    of_portfolios = [
        select(SubTask.id).join(Portfolio, getattr(Portfolio, column) == SubTask.run_id)
        for column in RUN_COLUMNS.values()
    ]
    current = _divided().where(SubTask.id.in_(union(of_analyses, *of_portfolios)))
    query = _by_task_id(current.order_by(SubTask.id), call)
    return json_answer(sub_task_bodies(call, listed(call, query, FILTERS)))


def get_task_status(call: Call, pk: int) -> Response:
    """One sub-task."""
    return json_answer(sub_task_bodies(call, [find_sub_task(call, pk)])[0])


def get_output_log(call: Call, pk: int) -> Response:
    """What the sub-task has printed: `Range` and `?follow=` are heeded."""
    return output_log_answer(call, find_sub_task(call, pk))


def keep_task_status(call: Call, pk: int) -> Response:
    """PUT and PATCH: every field is read-only, so whatever is sent changes nothing."""
    body = body_of(call.request)
    if not isinstance(body, dict):
        text = f"Invalid data. Expected a dictionary, but got {type(body).__name__}."
        raise BadRequest({"non_field_errors": [text]})
    return get_task_status(call, pk)


def get_log(name: str, composer: Composer) -> Handler:
    """The handler that sends one of a sub-task's texts."""

    def get(call: Call, pk: int) -> Response:
        sub_task = find_sub_task(call, pk)
        parts = composer(call.session, sub_task)
        if parts is None:
            raise NotFound
        return stream_answer(compose(call.store, parts), f"{sub_task.task_id}-{name}.log", "text/plain")

    return get


get_error_log = get_log("error", error_log)
get_retry_log = get_log("retry", retry_log)


def find_sub_task(call: Call, pk: int) -> SubTask:
    """The sub-task, of whatever run. Raises NotFound."""
    sub_task = call.session.get(SubTask, pk)
    if sub_task is None:
        raise NotFound
    return sub_task


def _divided() -> Select[Any]:
    """Sub-tasks as clients of the platform know them: a run of v1 has none."""
    return select(SubTask).join(Run, Run.id == SubTask.run_id).where(Run.run_mode != RunMode.V1)


def _sub_tasks_answer(call: Call, query: Select[Any]) -> Response:
    """What of these is filtered as the request wants."""
    return json_answer(sub_task_bodies(call, listed(call, query.order_by(SubTask.id), _OF_ANALYSIS)))


def _by_task_id(query: Select[Any], call: Call) -> Select[Any]:
    whole, part = (call.request.args.get(name, "").strip().lower() for name in ("task_id", "task_id__contains"))
    if whole:
        query = query.where(cast(SubTask.task_id, String) == whole)
    return query.where(cast(SubTask.task_id, String).contains(part, autoescape=True)) if part else query
