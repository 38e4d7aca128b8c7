"""analyses/{id}/runs/: every run that is kept, with its sub-tasks and files. Whoever sees the analysis sees them."""

from collections.abc import Callable

from flask import Response
from sqlalchemy import select

from services.api.call import Call
from services.api.downloads import file_answer, stream_answer
from services.api.errors import NotFound
from services.api.http import json_answer
from services.api.listing import listed
from services.api.logs import compose, traceback
from services.api.lookups import find_analysis
from services.api.serialize.runs import TRACEBACKS, files_of, run_bodies
from services.api.views.sub_tasks import list_of_run
from shared.core.plan import Phase
from shared.database.execution import Run, RunFile
from shared.database.resources import File

FileHandler = Callable[[Call, int, int], Response]


def list_runs(call: Call, pk: int) -> Response:
    """The runs of the analysis, newest first."""
    analysis = find_analysis(call, pk)
    query = select(Run).where(Run.analysis_id == analysis.id).order_by(Run.id.desc())
    return json_answer(run_bodies(call, listed(call, query, {})))


def get_run(call: Call, pk: int, run: int) -> Response:
    """One run."""
    return json_answer(run_bodies(call, [find_run(call, pk, run)])[0])


def list_sub_tasks(call: Call, pk: int, run: int) -> Response:
    """The sub-tasks of the run, as those of the current run are listed."""
    return list_of_run(call, find_run(call, pk, run).id)


def get_file(name: str) -> FileHandler:
    """The handler that sends one file of a run."""
    phase = TRACEBACKS.get(name)
    return _get_recorded(name) if phase is None else _get_traceback(name, phase)


def _get_recorded(name: str) -> FileHandler:
    def get(call: Call, pk: int, run: int) -> Response:
        of_run = RunFile.run_id == find_run(call, pk, run).id
        query = select(File).join(RunFile, RunFile.file_id == File.id).where(of_run, RunFile.name == name)
        file: File | None = call.session.scalars(query).one_or_none()
        if file is None:
            raise NotFound
        return file_answer(call, file)

    return get


def _get_traceback(name: str, phase: Phase) -> FileHandler:
    def get(call: Call, pk: int, run: int) -> Response:
        found = find_run(call, pk, run)
        if name not in files_of(call, [found])[found.id]:
            raise NotFound
        parts = traceback(call.session, found, phase)
        return stream_answer(compose(call.store, parts), f"run_{found.id}_{name}.txt", "text/plain")

    return get


def find_run(call: Call, pk: int, run: int) -> Run:
    """A run of the analysis. Raises NotFound."""
    found = call.session.get(Run, run)
    if found is None or found.analysis_id != find_analysis(call, pk).id:
        raise NotFound
    return found
