"""The files that runs leave with an analysis. Source: oasis_api.md sections 1.5 and 8.1."""

from collections.abc import Callable

from flask import Response
from sqlalchemy import delete as delete_rows
from sqlalchemy import select

from services.api.archives import member_answer, member_names
from services.api.call import Call
from services.api.downloads import file_answer, stream_answer
from services.api.errors import BadRequest, Forbidden, NotFound
from services.api.files import find_file, release_files
from services.api.http import empty_answer, json_answer
from services.api.listing import listed
from services.api.logs import compose, has_failed, traceback
from services.api.lookups import find_analysis
from services.api.serialize.analyses import TRACEBACK_FIELDS, stored_names
from services.api.serialize.models import data_file_bodies
from shared.core.plan import Phase
from shared.database.execution import Run, RunFile
from shared.database.resources import Analysis, DataFile, File, analysis_data_files

Handler = Callable[[Call, int], Response]

RESTRICTED = frozenset({"input_generation_traceback_file", "run_traceback_file", "run_log_file"})
_PHASES = {"input_generation_traceback_file": Phase.INPUTS, "run_traceback_file": Phase.LOSSES}
_NAMES = {"input_generation_traceback_file": "generation_traceback", "run_traceback_file": "run_traceback"}


def get_file(field: str) -> Handler:
    """The handler that sends one file."""

    def get(call: Call, pk: int) -> Response:
        analysis = find_analysis(call, pk)
        _check_restriction(call, field)
        if field in TRACEBACK_FIELDS:
            return _traceback_answer(call, analysis, field)
        return file_answer(call, _file_of(call, analysis, field))

    return get


def delete_file(field: str) -> Handler:
    """The handler that takes one file away."""

    def delete(call: Call, pk: int) -> Response:
        analysis = find_analysis(call, pk)
        _check_restriction(call, field)
        column = TRACEBACK_FIELDS.get(field, f"{field}_id")
        if getattr(analysis, column) is None:
            raise NotFound
        if field not in TRACEBACK_FIELDS:
            # Who deletes a file wants it gone, from the history too.
            call.session.execute(delete_rows(RunFile).where(RunFile.file_id == getattr(analysis, column)))
            release_files(call, getattr(analysis, column))
        setattr(analysis, column, None)
        return empty_answer(200)

    return delete


def list_members(field: str) -> Handler:
    """The handler that names the members of an archive."""

    def get(call: Call, pk: int) -> Response:
        return json_answer(member_names(call, _file_of(call, find_analysis(call, pk), field)))

    return get


def get_member(field: str) -> Handler:
    """The handler that sends one member of an archive."""

    def get(call: Call, pk: int) -> Response:
        file = _file_of(call, find_analysis(call, pk), field)
        name = call.request.args.get("filename")
        if not name:
            raise BadRequest(["Invalid filename."])
        return member_answer(call, file, name)

    return get


def list_data_files(call: Call, pk: int) -> Response:
    """The data files that runs of the analysis read."""
    analysis = find_analysis(call, pk)
    table = analysis_data_files
    query = select(DataFile).join(table, table.c.data_file_id == DataFile.id).where(table.c.analysis_id == analysis.id)
    return json_answer(data_file_bodies(call, listed(call, query.order_by(DataFile.id), {})))


def get_storage_links(call: Call, pk: int) -> Response:
    """The stored names of the files."""
    return json_answer(stored_names(call, find_analysis(call, pk)))


def _file_of(call: Call, analysis: Analysis, field: str) -> File:
    file = find_file(call, getattr(analysis, f"{field}_id"))
    if file is None:
        raise NotFound
    return file


def _check_restriction(call: Call, field: str) -> None:
    restricted = call.version == "v1" and call.dependencies.settings.restrict_system_logs and field in RESTRICTED
    if restricted and not call.user.is_administrator:
        # "alowed" is how clients know it.
        raise Forbidden({"detail": "Only accounts with staff access are alowed to view system logs."})


def _traceback_answer(call: Call, analysis: Analysis, field: str) -> Response:
    run_id = getattr(analysis, TRACEBACK_FIELDS[field])
    run = None if run_id is None else call.session.get(Run, run_id)
    if run is None:
        raise NotFound
    parts = traceback(call.session, run, _PHASES[field])
    name = "worker_traceback" if has_failed(run) else _NAMES[field]
    return stream_answer(compose(call.store, parts), f"analysis_{analysis.id}_{name}.txt", "text/plain")
