"""Analyses, their runs, and the sub-tasks of these."""

from services.api.openapi.operations import (
    OBJECT,
    TEXTS,
    Body,
    Operation,
    Parameter,
    Shape,
    file_download,
    json_of,
    listed,
    taken_away,
    text_download,
    upload,
)
from services.api.openapi.parameters import ANALYSIS_WORDS, SUB_TASK_WORDS, filters
from services.api.openapi.tables.crud import Operations, crud
from services.api.schemas import requests, server_work
from services.api.schemas.answers import analyses, files, runs
from services.api.serialize.analyses import STORED_FIELDS, TRACEBACK_FIELDS
from services.api.views import analyses as analysis_views
from services.api.views import sub_tasks

_ANALYSIS = Shape(analyses.Analysis, analyses.AnalysisV1)
_BODY = json_of(requests.AnalysisBodyV2, requests.AnalysisBody)
_CHANGES = Body(Shape(requests.AnalysisBodyV2, requests.AnalysisBody, partial=True), required=False)
_CHUNKING = Shape(analyses.Chunking)
_ACTION: Operations = {"POST": Operation(_ANALYSIS, refusals=(400,))}
_OVERRIDE = Parameter(
    "run_mode_override", "Another mode than the model's.", {"type": "string", "enum": ["V1", "V2"]}, in_v1=False
)
_RUN: Operations = {"POST": Operation(_ANALYSIS, parameters=(_OVERRIDE,), refusals=(400,))}
_TASKS = listed(runs.TaskStatus, filters=filters(("subtask_status", "subtask_slug"), SUB_TASK_WORDS))
_SPEEDUP = Operation(Shape(runs.Speedup), refusals=(400,))
_FILE, _TRACEBACK = file_download(), text_download("Send the logs, put together.")
_DELETABLE = {"output_file": _FILE, "run_log_file": _FILE} | dict.fromkeys(TRACEBACK_FIELDS, _TRACEBACK)
_LOOKUP_FILES = ("lookup_errors_file", "lookup_success_file", "lookup_validation_file", "summary_levels_file")
_ARCHIVES = ("input_file", "output_file")
_MEMBERS = Operation(Shape(TEXTS), refusals=(400,), about="Name the members of the archive.")
_NAME = Parameter("filename", "The name of the member.")
_MEMBER = file_download("Send one member of the archive.", (_NAME,))


def _paths(each: dict[str, Operations]) -> dict[str, Operations]:
    return {f"analyses/<pk>/{path}/": operations for path, operations in each.items()}


_ANALYSES: dict[str, Operations] = {
    **crud(
        "analyses/",
        _ANALYSIS,
        _BODY,
        filters(analysis_views.FILTERS, ANALYSIS_WORDS, not_in_v1=analysis_views.V2_FILTERS),
        entry=Shape(analyses.Analysis, analyses.ListedAnalysisV1),
    ),
    "analyses/combine/": {"POST": Operation(_ANALYSIS, json_of(server_work.CombineBody))},
    **_paths(
        {
            "copy": {"POST": Operation(_ANALYSIS, _CHANGES)},
            "generate_inputs": _RUN,
            "run": _RUN,
            "generate_and_run": _ACTION,
            "resume": _ACTION,
            "cancel": _ACTION,
            "cancel_generate_inputs": _ACTION,
            "cancel_analysis_run": _ACTION,
            "settings": {
                "GET": Operation(Shape(OBJECT)),
                "POST": Operation(Shape(files.UploadedFile), Body(Shape(OBJECT))),
                "DELETE": taken_away(),
            },
            "settings_file": {"GET": _FILE, "POST": upload(files.UploadedFile), "DELETE": taken_away()},
            **{name: {"GET": _FILE} for name in ("input_file", *_LOOKUP_FILES)},
            **{name: {"GET": operation, "DELETE": taken_away()} for name, operation in _DELETABLE.items()},
            **{f"{name}_tar_list": {"GET": _MEMBERS} for name in _ARCHIVES},
            **{f"{name}_tar_extract": {"GET": _MEMBER} for name in _ARCHIVES},
            "data_files": {"GET": listed(files.DataFile, files.DataFileV1)},
            "storage_links": {"GET": Operation(Shape(analyses.AnalysisLinks))},
            "run_progress": {"GET": Operation(Shape(analyses.RunProgress))},
            "sub_task_list": {"GET": _TASKS},
            "chunking_configuration": {
                "GET": Operation(_CHUNKING),
                "POST": Operation(_CHUNKING, json_of(requests.ChunkingBody, required=False)),
            },
            "speedup": {"GET": _SPEEDUP},
            "runs": {"GET": listed(runs.Run)},
            "runs/<run>": {"GET": Operation(Shape(runs.Run))},
            "runs/<run>/sub_task_list": {"GET": _TASKS},
            "runs/<run>/speedup": {"GET": _SPEEDUP},
            **{f"runs/<run>/files/{name}": {"GET": _FILE} for name in STORED_FIELDS},
            **{f"runs/<run>/files/{name}": {"GET": _TRACEBACK} for name in TRACEBACK_FIELDS},
        }
    ),
}

_STATUS = Operation(Shape(runs.TaskStatus))
_KEEP = Operation(Shape(runs.TaskStatus), Body(Shape(OBJECT), required=False))
_LOG = (
    Parameter("follow", "Send on while it grows: for so many seconds, or `true`."),
    Parameter("offset", "Bytes that the follower has already.", {"type": "integer", "minimum": 0}),
)
_TASK_FILTERS = (*sub_tasks.FILTERS, "task_id", "task_id__contains")
_TASK_STATUSES: dict[str, Operations] = {
    "analysis-task-statuses/": {"GET": listed(runs.TaskStatus, filters=filters(_TASK_FILTERS, SUB_TASK_WORDS))},
    "analysis-task-statuses/<pk>/": {"GET": _STATUS, "PUT": _KEEP, "PATCH": _KEEP},
    "analysis-task-statuses/<pk>/output_log/": {
        "GET": text_download("Send the log, a part of it, or follow it.", _LOG, status=(200, 206), refusals=(400, 416))
    },
    "analysis-task-statuses/<pk>/error_log/": {"GET": _TRACEBACK},
    "analysis-task-statuses/<pk>/retry_log/": {"GET": _TRACEBACK},
    "analysis-task-statuses/<pk>/attempts/": {"GET": listed(runs.Attempt)},
}

ANALYSES = {**_ANALYSES, **_TASK_STATUSES}
