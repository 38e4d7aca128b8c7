"""The paths of the reference are there with their methods, in their versions; what is more is told: section 1."""

import re
from pathlib import Path

from services.api.routes import UNVERSIONED, VERSIONED
from tests.api.api_client import Api

API_PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")

BOTH, V2 = ("v1", "v2"), ("v2",)
LIST, ONE = "GET POST", "GET PUT PATCH DELETE"
KEPT, TAKEN, READ, DONE, GONE = "GET POST DELETE", "GET POST", "GET", "POST", "GET DELETE"
_EXPOSURE = ("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file")
_LEFT = ("input_file", "lookup_errors_file", "lookup_success_file", "lookup_validation_file", "summary_levels_file")
_DELETABLE = ("input_generation_traceback_file", "output_file", "run_traceback_file", "run_log_file")
_ARCHIVED = [f"{name}_{what}" for name in ("input_file_tar", "output_file_tar") for what in ("list", "extract")]
_ACTIONS = ("generate_inputs", "run", "cancel", "cancel_generate_inputs", "cancel_analysis_run", "copy")

UNVERSIONED_PATHS = {
    **dict.fromkeys(("healthcheck/", "healthcheck_connections/", "oed_peril_codes/", "server_info/"), READ),
    **dict.fromkeys(("access_token/", "refresh_token/"), DONE),
}
_OF_MODELS = {
    **dict.fromkeys(("versions", "data_files", "storage_links"), (READ, BOTH)),
    "settings": (KEPT, BOTH),
    **dict.fromkeys(("scaling_configuration", "chunking_configuration"), (TAKEN, V2)),
    "setting_templates": (LIST, BOTH),
    "setting_templates/<template>": (ONE, BOTH),
    "setting_templates/<template>/content": (KEPT, BOTH),
}
_OF_PORTFOLIOS = {
    "create_analysis": (DONE, BOTH),
    **dict.fromkeys(("storage_links", "validate"), (TAKEN, BOTH)),
    **dict.fromkeys((*_EXPOSURE, "currency_conversion_json", "reporting_currency"), (KEPT, BOTH)),
    "exposure_run": (TAKEN, V2),
    "exposure_transform": (DONE, V2),
    "errors_file": (READ, V2),
}
_OF_ANALYSES = {
    **dict.fromkeys(_ACTIONS, (DONE, BOTH)),
    "generate_and_run": (DONE, V2),
    **dict.fromkeys(("settings", "settings_file"), (KEPT, BOTH)),
    **dict.fromkeys((*_LEFT, "data_files", "storage_links", "run_progress"), (READ, BOTH)),
    **dict.fromkeys(_DELETABLE, (GONE, BOTH)),
    **dict.fromkeys((*_ARCHIVED, "sub_task_list"), (READ, V2)),
    "chunking_configuration": (TAKEN, V2),
}
_BELOW = {"models": _OF_MODELS, "portfolios": _OF_PORTFOLIOS, "data_files": {"content": (KEPT, BOTH)}}
VERSIONED_PATHS = {
    **{f"{each}/": (LIST, BOTH) for each in (*_BELOW, "analyses")},
    **{f"{each}/<pk>/": (ONE, BOTH) for each in (*_BELOW, "analyses")},
    **{
        f"{each}/<pk>/{path}/": found
        for each, paths in (_BELOW | {"analyses": _OF_ANALYSES}).items()
        for path, found in paths.items()
    },
    "analyses/combine/": (DONE, V2),
    "analysis-task-statuses/": (READ, V2),
    "analysis-task-statuses/<pk>/": (ONE, V2),
    **{f"analysis-task-statuses/<pk>/{name}_log/": (GONE, V2) for name in ("output", "error", "retry")},
    **dict.fromkeys(("queue/", "queue-status/"), (READ, V2)),
}

Offered = set[tuple[str, str]]


def reference() -> Offered:
    """Paths with their versions, and methods, of the reference."""
    found = {(path, method) for path, methods in UNVERSIONED_PATHS.items() for method in methods.split()}
    for path, (methods, versions) in VERSIONED_PATHS.items():
        found |= {(f"{version}/{path}", method) for version in versions for method in methods.split()}
    return found


def ours() -> Offered:
    """Ours."""
    found = {(route.path, method) for route in UNVERSIONED for method in route.handlers}
    for route in VERSIONED:
        found |= {(f"{version}/{route.path}", method) for version in route.versions for method in route.handlers}
    return found


def test_nothing_of_the_reference_is_missing_but_what_is_left_out_on_purpose() -> None:
    # Given that sub-tasks and their logs are history
    left_out = {(path, "DELETE") for path, _ in reference() if path.startswith("v2/analysis-task-statuses/<pk>/")}

    assert reference() - ours() == left_out
    assert "`DELETE` of `analysis-task-statuses/{id}/` and its logs" in API_PAGE


def test_what_is_more_than_the_reference_is_on_the_page() -> None:
    more = {path for path, _ in ours() - reference() if not path.startswith("oidc/")}
    last_words = {re.sub(r"<\w+>/", "", path).rstrip("/").rpartition("/")[2] for path in more}

    files = {path.rstrip("/").rpartition("/")[2] for path in more if "/files/" in path}
    assert {word for word in last_words - files if f"{word}/`" not in API_PAGE} == set()


def test_every_path_is_answered_at_the_root_and_below_api(api: Api) -> None:
    for path in {path for path, _ in reference()}:
        url = re.sub(r"<\w+>", "99", path)
        root, below = (api.get(f"{prefix}/{url}") for prefix in ("", "/api"))
        assert (root.status_code, root.mimetype) == (below.status_code, below.mimetype), path
        assert root.mimetype == "application/json", path
