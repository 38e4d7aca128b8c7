"""Model and analysis settings against the schemas of ods_tools, with the keys and texts that its own checks give."""

from collections import Counter
from typing import Any

from services.api.errors import BadRequest
from shared.oed_schemas import ANALYSIS_SETTINGS, MODEL_SETTINGS, Errors, schema_errors

PERSPECTIVES = ("gul", "il", "ri", "rl")
ALIASES = (("module_supplier_id", "model_supplier_id"), ("model_version_id", "model_name_id"))
"""Old and new names of the same thing."""


def valid_model_settings(document: Any) -> dict[str, Any]:
    """The document itself. Raises BadRequest."""
    _refuse(schema_errors(MODEL_SETTINGS, _an_object(document)))
    return dict(document)


def valid_analysis_settings(document: Any) -> dict[str, Any]:
    """The document with its old and new names mirrored. Raises BadRequest."""
    mirrored = mirror_aliases(_an_object(document))
    errors = schema_errors(ANALYSIS_SETTINGS, mirrored)
    # The checks below read what the schema promises.
    _refuse(errors or _output_errors(mirrored))
    return mirrored


def mirror_aliases(document: dict[str, Any]) -> dict[str, Any]:
    """The document with each old name beside its new one, and the other way round."""
    mirrored = dict(document)
    for old, new in ALIASES:
        if old in mirrored:
            mirrored.setdefault(new, mirrored[old])
        elif new in mirrored:
            mirrored[old] = mirrored[new]
    return mirrored


def _an_object(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        text = f"Invalid data. Expected a dictionary, but got {type(document).__name__}."
        raise BadRequest({"non_field_errors": [text]})
    return document


def _refuse(errors: Errors) -> None:
    if errors:
        raise BadRequest(errors)


def _output_errors(document: dict[str, Any]) -> Errors:
    errors: Errors = {}
    for perspective in PERSPECTIVES:
        key = f"{perspective}_summaries"
        ids = Counter(summary.get("id") for summary in document.get(key) or [])
        doubled = [f"id {each} is duplicated" for each, count in ids.items() if count > 1]
        if doubled:
            errors[key] = doubled
    wanted = [each for each in PERSPECTIVES if document.get(f"{each}_output")]
    if not wanted:
        errors["no output"] = ["no output selected, please enable at least one output"]
    for perspective in wanted:
        if not document.get(f"{perspective}_summaries"):
            text = f"{perspective}_output requested but {perspective}_summaries missing"
            errors[f"{perspective}_summaries missing"] = [text]
    return errors
