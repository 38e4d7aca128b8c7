"""validate-exposure: check the exposure files against the exposure standard. Source: oasis_api.md sections 1.3, 8.4."""

import os
from typing import Any

from ods_tools.oed import OedExposure

from services.model_worker.step_contract import StepContext, StepResult
from services.model_worker.steps import workspace

from .complaints import complaint

CHECKS = (
    "required_fields",
    "unknown_column",
    "valid_values",
    "perils",
    "occupancy_code",
    "construction_code",
    "country_and_area_code",
)
CONFIG = [{"name": name, "on_error": "return"} for name in CHECKS]


def run(context: StepContext) -> StepResult:
    """Leaves `errors` where there are some, else nothing. A file that cannot be read is such an error."""
    if not any(name in context.files for name, _ in workspace.EXPOSURES.values()):
        return complaint(context, "The portfolio has no exposure file to validate.")
    try:
        found = OedExposure(**sources(context), validation_config=CONFIG).check()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the files make the library raise is what is wrong with them
        return complaint(context, str(error))
    return complaint(context, str(found)) if found else StepResult()


def sources(context: StepContext) -> dict[str, Any]:
    """The portfolio, as ods-tools names its parts."""
    placed = workspace.place_exposure(context, context.directory / "exposure")
    currency = workspace.place_currency(context, context.directory)
    return {
        "location": placed["oed_location_csv"],
        "account": placed["oed_accounts_csv"],
        "ri_info": placed["oed_info_csv"],
        "ri_scope": placed["oed_scope_csv"],
        "currency_conversion": currency["currency_conversion_json"],
        "reporting_currency": currency["reporting_currency"],
        "oed_schema_info": os.environ.get("OASIS_OED_SCHEMA_INFO") or None,
    }
