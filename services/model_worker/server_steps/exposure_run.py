"""run-exposure: the insured losses of the exposure for given loss factors. Source: oasis_api.md section 8.4."""

import json
import os
from pathlib import Path
from typing import Any

from oasislmf.manager import OasisManager

from services.model_worker.step_contract import StepContext, StepResult
from services.model_worker.steps import workspace

from .complaints import result_or_complaint

PARAMS = frozenset(
    {
        "kernel_alloc_rule_il",
        "kernel_alloc_rule_ri",
        "model_perils_covered",
        "loss_factor",
        "supported_oed_coverage_types",
        "fmpy_sort_output",
        "fmpy_low_memory",
        "extra_summary_cols",
        "check_oed",
        "do_disaggregation",
        "verbose",
    }
)
"""What users may set; the rest is oasislmf's default."""


def run(context: StepContext) -> StepResult:
    """Leaves `exposure_run`, a csv of losses, or `errors`."""
    return result_or_complaint(context, "exposure_run", lambda: _run(context))


def _run(context: StepContext) -> Path:
    output = context.directory / "exposure_run.csv"
    manager = OasisManager()
    params: dict[str, Any] = {
        **{name: value for name, value in manager._params_run_exposure().items() if value is not None},  # noqa: SLF001
        **chosen(context),
        **workspace.place_exposure(context, context.directory / "exposure"),
        **workspace.place_currency(context, context.directory),
        "src_dir": str(context.directory / "exposure"),
        "run_dir": str(context.directory / "run"),
        "oed_schema_info": os.environ.get("OASIS_OED_SCHEMA_INFO") or None,
        "output_file": str(output),
        "print_summary": False,
    }
    manager.run_exposure(**{name: value for name, value in params.items() if value is not None})
    return output


def chosen(context: StepContext) -> dict[str, Any]:
    """What the user has set. Coverage types [0] mean all of them."""
    file = context.files.get("exposure_params")
    given = json.loads(file.path.read_text(encoding="utf-8")) if file else {}
    params = {name: value for name, value in given.items() if name in PARAMS and value is not None}
    if params.get("supported_oed_coverage_types") == [0]:
        params["supported_oed_coverage_types"] = None
    return params
