"""analyses/. Source: oasis_api.md section 1.5."""

from typing import Any

from flask import Response
from sqlalchemy import delete, insert

from services.api.call import Call
from services.api.deletion import give_up
from services.api.errors import BadRequest
from services.api.files import copy_file
from services.api.filters import choice_filters, id_filters, text_filters, time_filters, user_filter
from services.api.http import body_of, empty_answer, json_answer
from services.api.listing import listed
from services.api.lookups import all_referred, find_analysis, referred, seen
from services.api.schemas.fields import load
from services.api.schemas.requests import RUN_MODES, AnalysisBody, AnalysisBodyV2
from services.api.serialize.analyses import analysis_bodies, analysis_body
from services.api.views.analysis_settings import replace_settings
from services.api.views.configuration import CHUNKING_FIELDS
from shared.core.states import AnalysisStatus
from shared.database.requests import change_priority
from shared.database.resources import Analysis, AnalysisChunking, DataFile, Model, Portfolio, analysis_data_files

FILTERS = (
    text_filters(name=Analysis.name)
    | choice_filters("status", Analysis.status, tuple(AnalysisStatus))
    | choice_filters("run_mode", Analysis.run_mode, RUN_MODES)
    | id_filters("model", Analysis.model_id)
    | user_filter(Analysis.creator_id)
    | time_filters(Analysis.created, Analysis.modified)
)
V2_FILTERS = ("run_mode", "run_mode__in")
_V1_FILTERS = {name: each for name, each in FILTERS.items() if name not in V2_FILTERS}
LONGEST_COPIED_NAME = 248
_COPIED = ("portfolio_id", "model_id", "priority", "run_mode", "lookup_chunks", "analysis_chunks")


def list_analyses(call: Call) -> Response:
    """All analyses."""
    filters = _V1_FILTERS if call.version == "v1" else FILTERS
    bodies = analysis_bodies(call, listed(call, seen(call, Analysis), filters))
    if call.version == "v1":
        # The list of v1 has these as text; clients of v1 know it so.
        bodies = [
            body | {name: str(body[name]) for name in ("num_events_complete", "num_events_total")} for body in bodies
        ]
    return json_answer(bodies)


def create_analysis(call: Call) -> Response:
    """A new analysis."""
    values = _load(call, partial=False)
    analysis = Analysis(status=AnalysisStatus.NEW, creator_id=call.user.id)
    _set_references(call, analysis, values)
    _set_plain(analysis, values)
    call.session.add(analysis)
    call.session.flush()
    _set_dependent(call, analysis, values)
    return json_answer(analysis_body(call, analysis), 201)


def get_analysis(call: Call, pk: int) -> Response:
    """One analysis."""
    return json_answer(analysis_body(call, find_analysis(call, pk)))


def replace_analysis(call: Call, pk: int) -> Response:
    """PUT: name and portfolio must be there."""
    return _update(call, pk, partial=False)


def change_analysis(call: Call, pk: int) -> Response:
    """PATCH, also while a run is under way: a new priority reaches what still waits."""
    return _update(call, pk, partial=True)


def delete_analysis(call: Call, pk: int) -> Response:
    """Delete the analysis with its runs; what runs is cancelled, all files are released, and all objects go."""
    analysis = find_analysis(call, pk)
    give_up(call, analysis)
    call.session.execute(delete(Analysis).where(Analysis.id == pk))
    return empty_answer(204)


def copy_analysis(call: Call, pk: int) -> Response:
    """A new analysis like this one, without its results."""
    source = find_analysis(call, pk)
    values = _load(call, partial=True)
    copied = Analysis(
        name=f"{source.name[:LONGEST_COPIED_NAME]} - Copy",
        status=AnalysisStatus.NEW,
        creator_id=call.user.id,
        **{name: getattr(source, name) for name in _COPIED},
    )
    _set_references(call, copied, values)
    _set_plain(copied, values)
    copied.settings_file_id = copy_file(call, source.settings_file_id)
    call.session.add(copied)
    call.session.flush()
    _copy_chunking(call, source, copied)
    _set_dependent(call, copied, values)
    return json_answer(analysis_body(call, copied))


def refuse_empty_portfolio(portfolio: Portfolio) -> None:
    """Raises BadRequest where there is nothing to analyse."""
    if portfolio.location_file_id is None and portfolio.accounts_file_id is None:
        raise BadRequest({"portfolio": ['either "location_file" or "accounts_file" must not be null']})


def check_run_mode(call: Call, model: Model) -> None:
    """Raises BadRequest where the version of the API cannot run the model."""
    if call.version == "v1":
        if model.run_mode != "V1":
            text = f"Model pk '{model.id}' - Unsupported Operation, 'run_mode' must be 'V1', not '{model.run_mode}'"
            raise BadRequest({"model": [text]})
    elif model.run_mode is None:
        raise BadRequest({"model": [f"Model pk \"{model.id}\" - 'run_mode' must not be null"]})


def _load(call: Call, *, partial: bool) -> dict[str, Any]:
    values = load(AnalysisBody if call.version == "v1" else AnalysisBodyV2, body_of(call.request), partial=partial)
    levels = call.dependencies.settings.priority_admin_levels
    if values.get("priority") in levels and not call.user.is_administrator:
        raise BadRequest({"priority": [f"Levels restricted to administrators: {list(levels)}"]})
    return values


def _update(call: Call, pk: int, *, partial: bool) -> Response:
    analysis = find_analysis(call, pk)
    values = _load(call, partial=partial)
    _set_references(call, analysis, values)
    if "name" in values:
        analysis.name = values["name"]
    if values.get("priority", analysis.priority) != analysis.priority:
        change_priority(call.session, analysis, values["priority"])
    call.session.flush()
    _set_dependent(call, analysis, values)
    return json_answer(analysis_body(call, analysis))


def _set_references(call: Call, analysis: Analysis, values: dict[str, Any]) -> None:
    if "portfolio" in values:
        portfolio = referred(call, Portfolio, values["portfolio"], "portfolio")
        refuse_empty_portfolio(portfolio)
        analysis.portfolio_id = portfolio.id
    if "model" in values and values["model"] is None:
        analysis.model_id = None
    elif "model" in values:
        model = referred(call, Model, values["model"], "model")
        check_run_mode(call, model)
        analysis.model_id = model.id


def _set_plain(analysis: Analysis, values: dict[str, Any]) -> None:
    for name in ("name", "priority"):
        if name in values:
            setattr(analysis, name, values[name])


def _set_dependent(call: Call, analysis: Analysis, values: dict[str, Any]) -> None:
    if "complex_model_data_files" in values:
        _replace_data_files(call, analysis, values["complex_model_data_files"])
    if values.get("settings"):
        replace_settings(call, analysis, values["settings"])


def _replace_data_files(call: Call, analysis: Analysis, pks: list[int]) -> None:
    found = all_referred(call, DataFile, pks, "complex_model_data_files")
    table = analysis_data_files
    call.session.execute(delete(table).where(table.c.analysis_id == analysis.id))
    if found:
        rows = [{"analysis_id": analysis.id, "data_file_id": each.id} for each in found]
        call.session.execute(insert(table), rows)


def _copy_chunking(call: Call, source: Analysis, copied: Analysis) -> None:
    chunking = call.session.get(AnalysisChunking, source.id)
    if chunking is not None:
        values = {name: getattr(chunking, name) for name in CHUNKING_FIELDS}
        call.session.add(AnalysisChunking(analysis_id=copied.id, **values))
        call.session.flush()
