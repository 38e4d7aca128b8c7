"""analyses/{id}/speedup/ and analyses/{id}/runs/{run}/speedup/: what more workers, or other chunks, would bring."""

from flask import Response

from services.api.call import Call
from services.api.errors import BadRequest, NotFound
from services.api.http import json_answer
from services.api.lookups import find_analysis
from services.api.serialize.speedup import speedup_body
from services.api.timed_stages import crew_of, sections_of, stages_of_run
from services.api.views.run_history import find_run
from shared.core.states import RunState
from shared.database.execution import Run


def of_latest_run(call: Call, pk: int) -> Response:
    """Of the run that the status of the analysis belongs to."""
    run_id = find_analysis(call, pk).current_run_id
    run = None if run_id is None else call.session.get(Run, run_id)
    if run is None:
        raise NotFound({"detail": "The analysis has no run yet."})
    return _answer(call, run)


def of_run(call: Call, pk: int, run: int) -> Response:
    """Of one of the runs that are kept."""
    return _answer(call, find_run(call, pk, run))


def _answer(call: Call, run: Run) -> Response:
    if run.state != RunState.COMPLETED:
        text = f"Run {run.id} is {run.state}; only a run that is COMPLETED can be measured. See runs/ for earlier ones"
        raise BadRequest({"run": [text]})
    stages = stages_of_run(call.session, run)
    if not any(sub_task.seconds for stage in stages for sub_task in stage.sub_tasks):
        raise BadRequest({"run": [f"Run {run.id} has no attempts whose times are known"]})
    crew = crew_of(call.session, run)
    sections = sections_of(call.session, run, stages)
    return json_answer(speedup_body(run, stages, sections, crew.workers, crew.slots_per_worker))
