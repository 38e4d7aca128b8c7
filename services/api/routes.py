"""Every path of the API: who may ask, and which function answers. Source: oasis_api.md section 1.

Paths below a version stand for both `/v1/` and `/v2/` unless they say otherwise; everything is also below `/api/`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from flask import Response

from services.api.serialize.analyses import STORED_FIELDS, TRACEBACK_FIELDS
from services.api.serialize.portfolios import EXPOSURE_FIELDS
from services.api.views import (
    analyses,
    analysis_files,
    analysis_settings,
    analysis_status,
    attempts,
    audit,
    combination,
    configuration,
    data_files,
    exposure_runs,
    model_settings,
    models,
    oidc,
    portfolio_files,
    portfolio_links,
    portfolios,
    presigned_uploads,
    queues,
    run_history,
    runs,
    server,
    setting_templates,
    speedup,
    sub_tasks,
    tokens,
    workers,
)

Handler = Callable[..., Response]
"""Called with the Call, and with `pk` (and `run` or `template`) where the path has one."""


class Access(Enum):
    """Who may ask."""

    EVERYBODY = auto()
    USERS = auto()
    STAFF = auto()


@dataclass(frozen=True)
class Route:
    """A path, and what answers each method."""

    path: str
    handlers: Mapping[str, Handler]
    access: Access = Access.USERS
    versions: tuple[str, ...] = ("v1", "v2")
    action: str = ""
    """What the audit calls it, where its path does not say."""


VERSIONS = ("v1", "v2")
V2 = ("v2",)


def _crud(path: str, *handlers: Handler) -> list[Route]:
    listing, create, get, replace, change, delete = handlers
    each = {"GET": get, "PUT": replace, "PATCH": change, "DELETE": delete}
    return [Route(path, {"GET": listing, "POST": create}), Route(f"{path}<pk>/", each)]


UNVERSIONED = (
    Route("healthcheck/", {"GET": server.get_health}, Access.EVERYBODY),
    Route("healthcheck_connections/", {"GET": server.get_connections}, Access.EVERYBODY),
    Route("oed_peril_codes/", {"GET": server.get_peril_codes}, Access.EVERYBODY),
    Route("server_info/", {"GET": server.get_server}),
    Route("access_token/", {"POST": tokens.create_tokens}, Access.EVERYBODY, action="log in"),
    Route("refresh_token/", {"POST": tokens.refresh_tokens}, Access.EVERYBODY),
    # It asks for an administrator itself, unless a setting opens it.
    Route("analysis-status/", {"POST": analysis_status.post_status}, Access.EVERYBODY),
    Route("oidc/authorize/", {"GET": oidc.authorize}, Access.EVERYBODY),
    Route("oidc/callback/", {"GET": oidc.end_login, "POST": oidc.redeem_code}, Access.EVERYBODY, action="log in"),
    Route("oidc/session_token/", {"POST": oidc.redeem_session_token}, Access.EVERYBODY, action="log in"),
    Route("oidc/logout/", {"GET": oidc.log_out}, Access.EVERYBODY),
    Route("revoke_token/", {"POST": tokens.revoke_token}, Access.EVERYBODY, action="revoke tokens"),
)

_MODEL_SETTINGS = {
    "GET": model_settings.get_settings,
    "POST": model_settings.post_settings,
    "DELETE": model_settings.delete_settings,
}
_MODEL_CHUNKING = {"GET": configuration.get_model_chunking, "POST": configuration.post_model_chunking}
_TEMPLATES = {"GET": setting_templates.list_templates, "POST": setting_templates.create_template}
_TEMPLATE = {
    "GET": setting_templates.get_template,
    "PUT": setting_templates.replace_template,
    "PATCH": setting_templates.change_template,
    "DELETE": setting_templates.delete_template,
}
_TEMPLATE_CONTENT = {
    "GET": setting_templates.get_content,
    "POST": setting_templates.post_content,
    "DELETE": setting_templates.delete_content,
}
_MODELS = (
    *_crud(
        "models/",
        models.list_models,
        models.create_model,
        models.get_model,
        models.replace_model,
        models.change_model,
        models.delete_model,
    ),
    Route("models/<pk>/versions/", {"GET": models.get_versions}),
    Route("models/<pk>/data_files/", {"GET": models.list_data_files}),
    Route("models/<pk>/storage_links/", {"GET": models.get_storage_links}),
    Route("models/<pk>/settings/", _MODEL_SETTINGS),
    Route("models/<pk>/chunking_configuration/", _MODEL_CHUNKING, versions=V2),
    Route("models/<pk>/setting_templates/", _TEMPLATES),
    Route("models/<pk>/setting_templates/<template>/", _TEMPLATE),
    Route("models/<pk>/setting_templates/<template>/content/", _TEMPLATE_CONTENT),
    Route(
        "models/<pk>/scaling_configuration/",
        {"GET": configuration.get_scaling, "POST": configuration.post_scaling},
        versions=V2,
    ),
)

_CURRENCY_CONVERSION = {
    "GET": portfolio_files.get_currency_conversion,
    "POST": portfolio_files.post_currency_conversion,
    "DELETE": portfolio_files.delete_currency_conversion,
}
_REPORTING_CURRENCY = {
    "GET": portfolios.get_reporting_currency,
    "POST": portfolios.post_reporting_currency,
    "DELETE": portfolios.delete_reporting_currency,
}
_STORAGE_LINKS = {"GET": portfolio_links.get_storage_links, "POST": portfolio_links.post_storage_links}
_VALIDATION = {"GET": exposure_runs.get_validation, "POST": exposure_runs.post_validation}
_EXPOSURE_RUN = {"GET": exposure_runs.get_exposure_run, "POST": exposure_runs.post_exposure_run}
_EXPOSURE_TRANSFORM = {"POST": exposure_runs.post_exposure_transform}


def _exposure_file(field: str) -> list[Route]:
    path = f"portfolios/<pk>/{field}/"
    return [
        Route(path, portfolio_files.exposure_file(field)),
        Route(f"{path}presigned/", {"POST": presigned_uploads.begin_upload(field)}, versions=V2),
        Route(f"{path}presigned/<upload>/", {"POST": presigned_uploads.complete_upload(field)}, versions=V2),
    ]


_PORTFOLIOS = (
    *_crud(
        "portfolios/",
        portfolios.list_portfolios,
        portfolios.create_portfolio,
        portfolios.get_portfolio,
        portfolios.replace_portfolio,
        portfolios.change_portfolio,
        portfolios.delete_portfolio,
    ),
    Route("portfolios/<pk>/create_analysis/", {"POST": portfolios.create_analysis}),
    Route("portfolios/<pk>/storage_links/", _STORAGE_LINKS),
    Route("portfolios/<pk>/validate/", _VALIDATION),
    Route("portfolios/<pk>/exposure_run/", _EXPOSURE_RUN, versions=V2),
    Route("portfolios/<pk>/exposure_transform/", _EXPOSURE_TRANSFORM, versions=V2),
    Route("portfolios/<pk>/errors_file/", {"GET": portfolio_files.get_errors}, versions=V2),
    *(route for field in EXPOSURE_FIELDS for route in _exposure_file(field)),
    Route("portfolios/<pk>/currency_conversion_json/", _CURRENCY_CONVERSION),
    Route("portfolios/<pk>/reporting_currency/", _REPORTING_CURRENCY),
)

_CONTENT = {
    "GET": data_files.get_content,
    "POST": data_files.post_content,
    "DELETE": data_files.delete_content,
}
_DATA_FILES = (
    *_crud(
        "data_files/",
        data_files.list_data_files,
        data_files.create_data_file,
        data_files.get_data_file,
        data_files.replace_data_file,
        data_files.change_data_file,
        data_files.delete_data_file,
    ),
    Route("data_files/<pk>/content/", _CONTENT),
)


def _analysis_file(field: str, *, deletable: bool = False) -> Route:
    handlers = {"GET": analysis_files.get_file(field)}
    if deletable:
        handlers["DELETE"] = analysis_files.delete_file(field)
    return Route(f"analyses/<pk>/{field}/", handlers)


def _archive(field: str) -> list[Route]:
    return [
        Route(f"analyses/<pk>/{field}_tar_list/", {"GET": analysis_files.list_members(field)}, versions=V2),
        Route(f"analyses/<pk>/{field}_tar_extract/", {"GET": analysis_files.get_member(field)}, versions=V2),
    ]


_ANALYSIS_SETTINGS = {
    "GET": analysis_settings.get_settings,
    "POST": analysis_settings.post_settings,
    "DELETE": analysis_settings.delete_settings,
}
_SETTINGS_FILE = {
    "GET": analysis_settings.get_settings_file,
    "POST": analysis_settings.post_settings_file,
    "DELETE": analysis_settings.delete_settings,
}
_ANALYSIS_CHUNKING = {"GET": configuration.get_analysis_chunking, "POST": configuration.post_analysis_chunking}
_ANALYSES = (
    *_crud(
        "analyses/",
        analyses.list_analyses,
        analyses.create_analysis,
        analyses.get_analysis,
        analyses.replace_analysis,
        analyses.change_analysis,
        analyses.delete_analysis,
    ),
    Route("analyses/combine/", {"POST": combination.combine}, versions=V2),
    Route("analyses/<pk>/copy/", {"POST": analyses.copy_analysis}),
    Route("analyses/<pk>/generate_inputs/", {"POST": runs.generate_inputs}),
    Route("analyses/<pk>/run/", {"POST": runs.run}),
    Route("analyses/<pk>/generate_and_run/", {"POST": runs.generate_and_run}, versions=V2),
    Route("analyses/<pk>/resume/", {"POST": runs.resume}, versions=V2),
    Route("analyses/<pk>/cancel/", {"POST": runs.cancel}),
    Route("analyses/<pk>/cancel_generate_inputs/", {"POST": runs.cancel_generate_inputs}),
    Route("analyses/<pk>/cancel_analysis_run/", {"POST": runs.cancel_analysis_run}),
    Route("analyses/<pk>/settings/", _ANALYSIS_SETTINGS),
    Route("analyses/<pk>/settings_file/", _SETTINGS_FILE),
    _analysis_file("input_file"),
    _analysis_file("lookup_errors_file"),
    _analysis_file("lookup_success_file"),
    _analysis_file("lookup_validation_file"),
    _analysis_file("summary_levels_file"),
    _analysis_file("input_generation_traceback_file", deletable=True),
    _analysis_file("output_file", deletable=True),
    _analysis_file("run_traceback_file", deletable=True),
    _analysis_file("run_log_file", deletable=True),
    *_archive("input_file"),
    *_archive("output_file"),
    Route("analyses/<pk>/data_files/", {"GET": analysis_files.list_data_files}),
    Route("analyses/<pk>/storage_links/", {"GET": analysis_files.get_storage_links}),
    Route("analyses/<pk>/run_progress/", {"GET": sub_tasks.get_run_progress}),
    Route("analyses/<pk>/sub_task_list/", {"GET": sub_tasks.list_of_analysis}, versions=V2),
    Route("analyses/<pk>/chunking_configuration/", _ANALYSIS_CHUNKING, versions=V2),
    Route("analyses/<pk>/speedup/", {"GET": speedup.of_latest_run}, versions=V2),
)


def _run(path: str, handler: Handler) -> Route:
    return Route(f"analyses/<pk>/runs/{path}", {"GET": handler}, versions=V2)


_RUNS = (
    _run("", run_history.list_runs),
    _run("<run>/", run_history.get_run),
    _run("<run>/sub_task_list/", run_history.list_sub_tasks),
    _run("<run>/speedup/", speedup.of_run),
    *(_run(f"<run>/files/{name}/", run_history.get_file(name)) for name in (*STORED_FIELDS, *TRACEBACK_FIELDS)),
)


def _task_status(path: str, handler: Handler, **writers: Handler) -> Route:
    return Route(f"analysis-task-statuses/{path}", {"GET": handler, **writers}, Access.STAFF, V2)


_TASK_STATUSES = (
    _task_status("", sub_tasks.list_task_statuses),
    _task_status("<pk>/", sub_tasks.get_task_status, PUT=sub_tasks.keep_task_status, PATCH=sub_tasks.keep_task_status),
    _task_status("<pk>/output_log/", sub_tasks.get_output_log),
    _task_status("<pk>/error_log/", sub_tasks.get_error_log),
    _task_status("<pk>/retry_log/", sub_tasks.get_retry_log),
    _task_status("<pk>/attempts/", attempts.list_attempts),
)

_QUEUES = (
    Route("queue/", {"GET": queues.list_queues}, versions=V2),
    Route("queue-status/", {"GET": queues.get_status}, versions=V2),
)

_WORKERS = (Route("workers/", {"GET": workers.list_workers}, Access.STAFF, V2),)

_AUDIT = (Route("audit/", {"GET": audit.list_audit}, Access.STAFF, V2),)

VERSIONED = (*_MODELS, *_PORTFOLIOS, *_DATA_FILES, *_ANALYSES, *_RUNS, *_TASK_STATUSES, *_QUEUES, *_WORKERS, *_AUDIT)
