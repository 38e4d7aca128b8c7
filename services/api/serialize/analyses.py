"""Analyses. Source: oasis_api.md section 1.5."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from services.api.among import among
from services.api.call import Call
from services.api.files import find_files, stored_name
from services.api.groups import group_names
from services.api.progress import Progress, progress_of
from services.api.serialize.moments import moment
from shared.database.resources import Analysis, Portfolio, analysis_data_files

STORED_FIELDS = (
    "settings_file",
    "input_file",
    "lookup_errors_file",
    "lookup_success_file",
    "lookup_validation_file",
    "summary_levels_file",
    "output_file",
    "run_log_file",
)
"""Files that lie in the store."""

TRACEBACK_FIELDS = {
    "input_generation_traceback_file": "inputs_traceback_run_id",
    "run_traceback_file": "losses_traceback_run_id",
}
"""Files that are composed of logs, and the columns that say of which run."""

LINKED_FIELDS = (
    "settings_file",
    "input_file",
    "input_generation_traceback_file",
    "output_file",
    "run_traceback_file",
    "run_log_file",
    "lookup_errors_file",
    "lookup_success_file",
    "lookup_validation_file",
    "summary_levels_file",
)
"""What storage_links/ names, in its order."""


def analysis_bodies(call: Call, analyses: Iterable[Analysis]) -> list[dict[str, Any]]:
    """Analyses as JSON, each with the progress of the run that its status belongs to."""
    found = list(analyses)
    data_files = _data_files_of(call, [analysis.id for analysis in found])
    runs = progress_of(call.session, {each.current_run_id for each in found if each.current_run_id is not None})
    shown = {run_id: progress.of_analysis() for run_id, progress in runs.items()}
    groups = group_names(call.session, Portfolio, {each.portfolio_id for each in found})
    return [
        _analysis_body(
            call,
            each,
            _Related(
                data_files=data_files.get(each.id, []),
                groups=groups.get(each.portfolio_id, []),
                progress=shown.get(each.current_run_id or 0, Progress()),
            ),
        )
        for each in found
    ]


def analysis_body(call: Call, analysis: Analysis) -> dict[str, Any]:
    """One analysis as JSON."""
    return analysis_bodies(call, [analysis])[0]


def has_file(analysis: Analysis, field: str) -> bool:
    """Whether the analysis has this file."""
    return getattr(analysis, TRACEBACK_FIELDS.get(field, f"{field}_id")) is not None


def stored_names(call: Call, analysis: Analysis) -> dict[str, str | None]:
    """The stored name of every file; one that is composed on read has its own name there."""
    ids = {field: getattr(analysis, f"{field}_id") for field in STORED_FIELDS}
    files = find_files(call, {file_id for file_id in ids.values() if file_id is not None})
    names: dict[str, str | None] = {}
    for field in LINKED_FIELDS:
        if field in TRACEBACK_FIELDS:
            names[field] = f"analysis_{analysis.id}_{field}.txt" if has_file(analysis, field) else None
        else:
            file = files.get(ids[field] or 0)
            names[field] = stored_name(file) if file else None
    return names


def _data_files_of(call: Call, analysis_ids: list[int]) -> Mapping[int, list[int]]:
    table = analysis_data_files
    query = select(table.c.analysis_id, table.c.data_file_id).where(among(table.c.analysis_id, analysis_ids))
    found: dict[int, list[int]] = {}
    for analysis_id, data_file_id in call.session.execute(query.order_by(table.c.data_file_id)):
        found.setdefault(analysis_id, []).append(data_file_id)
    return found


@dataclass(frozen=True)
class _Related:
    """What other tables say of an analysis."""

    data_files: list[int]
    groups: list[str]
    progress: Progress


def _analysis_body(call: Call, analysis: Analysis, related: _Related) -> dict[str, Any]:
    first, progress = _common(call, analysis, related.data_files), related.progress
    events = {"num_events_complete": progress.events_complete, "num_events_total": progress.events_total}
    if call.version == "v1":
        return first | {"storage_links": _url(call, analysis, "storage_links")} | events
    return first | _distributed(call, analysis, related) | events


def _common(call: Call, analysis: Analysis, data_files: list[int]) -> dict[str, Any]:
    v1 = call.version == "v1"
    return {
        "created": moment(analysis.created),
        "modified": moment(analysis.modified),
        "name": analysis.name,
        "id": analysis.id,
        "portfolio": analysis.portfolio_id,
        "model": analysis.model_id,
        "status": analysis.status,
        **({} if v1 else {"run_mode": analysis.run_mode}),
        "task_started": moment(analysis.task_started),
        "task_finished": moment(analysis.task_finished),
        "complex_model_data_files": data_files,
        **_file_urls(call, analysis),
    }


def _file_urls(call: Call, analysis: Analysis) -> dict[str, str | None]:
    urls = {field: _url(call, analysis, field) if has_file(analysis, field) else None for field in LINKED_FIELDS}
    settings = _url(call, analysis, "settings") if has_file(analysis, "settings_file") else None
    return urls | {"settings": settings}


def _distributed(call: Call, analysis: Analysis, related: _Related) -> dict[str, Any]:
    progress = related.progress
    return {
        "storage_links": _url(call, analysis, "storage_links"),
        "chunking_configuration": _url(call, analysis, "chunking_configuration"),
        "lookup_chunks": analysis.lookup_chunks,
        "analysis_chunks": analysis.analysis_chunks,
        "sub_task_count": progress.counts.get("size", 0),
        "sub_task_list": _url(call, analysis, "sub_task_list"),
        "sub_task_error_ids": progress.error_ids,
        "status_count": progress.status_count(),
        "groups": related.groups,
        "priority": analysis.priority,
    }


def _url(call: Call, analysis: Analysis, name: str) -> str:
    return call.url(f"analyses/{analysis.id}/{name}/")
