"""What the model tells oasislmf and the platform about itself, and the analysis that it suggests."""

from pathlib import Path
from typing import Any, Final

from examples.coastwind.tables import write_json

SUPPLIER: Final = "Lossline"
MODEL: Final = "CoastWind"
VERSION: Final = "1"
PERIL: Final = "WEC"  # OED: strong wind from an extratropical cyclone
EVENT_SET: Final = "p"
OCCURRENCE_SET: Final = "lt"
DEFAULT_SAMPLES: Final = 10
RETURN_PERIODS: Final = (10_000, 5_000, 1_000, 500, 250, 200, 100, 50, 30, 25, 20, 10, 5, 2)
QUANTILES: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)

LOOKUP_CHUNKS: Final = 2
LOSS_CHUNKS: Final = 4
REPORTS: Final = ("alt_period", "ept_full_uncertainty_aep", "ept_full_uncertainty_oep")


def model_settings(number_of_events: int, years: int) -> dict[str, Any]:
    """The contents of ``model_settings.json``."""
    event = {"id": EVENT_SET, "desc": "Stochastic storms", "number_of_events": number_of_events}
    occurrence = {"id": OCCURRENCE_SET, "desc": f"{years} simulated years"}
    event_option = {"name": "Event set", "desc": "Which storms", "default": EVENT_SET, "options": [event]}
    occurrence_option = {"name": "Occurrence set", "desc": "How often", "default": OCCURRENCE_SET}
    group = 1
    return {
        "version": "3",
        "name": "CoastWind",
        "description": "Extratropical windstorm over a fictional coast; an example, not for underwriting",
        "model_supplier_id": SUPPLIER,
        "model_name_id": MODEL,
        "model_version_id": VERSION,
        "model_run_mode": "V2",
        "model_default_samples": DEFAULT_SAMPLES,
        "model_settings": {
            "event_set": event_option,
            "event_occurrence_id": {**occurrence_option, "options": [occurrence]},
            "correlation_settings": [
                {
                    "peril_correlation_group": group,
                    "damage_correlation_value": "0.2",
                    "hazard_correlation_value": "0.0",
                }
            ],
        },
        "lookup_settings": {
            "supported_perils": [
                {"id": PERIL, "desc": "Extratropical windstorm", "peril_correlation_group": group},
                {"id": "WW2", "desc": "Group: windstorm without storm surge"},
                {"id": "WW1", "desc": "Group: windstorm with storm surge"},
            ]
        },
        "data_settings": {
            "countries": ["GB"],
            "damage_group_fields": ["PortNumber", "AccNumber", "LocNumber"],
            "hazard_group_fields": ["PortNumber", "AccNumber", "LocNumber"],
        },
    }


def chunking_configuration() -> dict[str, Any]:
    """How the platform splits an analysis: small, so that a demonstration shows several workers."""
    return {
        "lookup_strategy": "FIXED_CHUNKS",
        "loss_strategy": "FIXED_CHUNKS",
        "dynamic_locations_per_lookup": 250,
        "dynamic_events_per_analysis": 500,
        "fixed_analysis_chunks": LOSS_CHUNKS,
        "fixed_lookup_chunks": LOOKUP_CHUNKS,
    }


def scaling_configuration() -> dict[str, Any]:
    """How many workers the model asks for."""
    return {
        "scaling_strategy": "DYNAMIC_TASKS",
        "worker_count_fixed": 1,
        "worker_count_min": 1,
        "worker_count_max": 4,
        "chunks_per_worker": 2,
    }


def analysis_settings() -> dict[str, Any]:
    """Average loss, event losses and exceedance curves of the whole portfolio, at the three perspectives."""
    settings: dict[str, Any] = {
        "version": "3",
        "analysis_tag": "coastwind_example",
        "model_supplier_id": SUPPLIER,
        "model_name_id": MODEL,
        "gul_threshold": 0,
        "model_settings": {"event_set": EVENT_SET, "event_occurrence_id": OCCURRENCE_SET},
    }
    reports = {**dict.fromkeys(REPORTS, True), "return_period_file": True}
    for perspective in ("gul", "il", "ri"):
        settings[f"{perspective}_output"] = True
        settings[f"{perspective}_summaries"] = [{"id": 1, "ord_output": dict(reports)}]
    return settings


def run_settings() -> dict[str, Any]:
    """The contents of ``oasislmf.json``: paths within the model directory and the calculation options."""
    return {
        "lookup_config_json": f"keys_data/{MODEL}/lookup_config.json",
        "lookup_data_dir": f"keys_data/{MODEL}",
        "model_data_dir": f"model_data/{MODEL}",
        "model_settings_json": "meta-data/model_settings.json",
        "gulmc": True,
        "ktools_alloc_rule_gul": 1,
    }


def write_settings(directory: Path, number_of_events: int, years: int) -> None:
    """Write the five settings files of a model directory."""
    write_json(directory / "oasislmf.json", run_settings())
    write_json(directory / "analysis_settings.json", analysis_settings())
    metadata = directory / "meta-data"
    write_json(metadata / "model_settings.json", model_settings(number_of_events, years))
    write_json(metadata / "chunking_configuration.json", chunking_configuration())
    write_json(metadata / "scaling_configuration.json", scaling_configuration())
