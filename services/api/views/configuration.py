"""chunking_configuration/ and scaling_configuration/. Source: oasis_api.md section 4."""

from typing import Any

from flask import Response

from services.api.call import Call
from services.api.errors import BadRequest
from services.api.http import body_of, json_answer
from services.api.lookups import find, find_analysis
from services.api.schemas.fields import load
from services.api.schemas.requests import ChunkingBody, ScalingBody
from shared.database.resources import Analysis, AnalysisChunking, Model, ModelChunking, ModelScaling

CHUNKING_FIELDS = (
    "lookup_strategy",
    "loss_strategy",
    "dynamic_locations_per_lookup",
    "dynamic_events_per_analysis",
    "dynamic_chunks_max",
    "fixed_analysis_chunks",
    "fixed_lookup_chunks",
)
SCALING_FIELDS = (
    "scaling_strategy",
    "worker_count_fixed",
    "worker_count_max",
    "worker_count_min",
    "chunks_per_worker",
)


def get_model_chunking(call: Call, pk: int) -> Response:
    """How runs of the model are split."""
    return _answer(_model_chunking(call, find(call, Model, pk)), CHUNKING_FIELDS)


def post_model_chunking(call: Call, pk: int) -> Response:
    """Change the given fields."""
    row = _model_chunking(call, find(call, Model, pk))
    return _change(call, row, load(ChunkingBody, body_of(call.request)), CHUNKING_FIELDS)


def get_analysis_chunking(call: Call, pk: int) -> Response:
    """The analysis' own options; nulls where it has none."""
    return _answer(_analysis_chunking(call, find_analysis(call, pk)), CHUNKING_FIELDS)


def post_analysis_chunking(call: Call, pk: int) -> Response:
    """Change the given fields; from now on the model's options do not count for this analysis."""
    analysis = find_analysis(call, pk)
    values = load(ChunkingBody, body_of(call.request))
    row = _analysis_chunking(call, analysis)
    if row is None:
        row = AnalysisChunking(analysis_id=analysis.id)
        call.session.add(row)
    return _change(call, row, values, CHUNKING_FIELDS)


def get_scaling(call: Call, pk: int) -> Response:
    """How many workers the model wants."""
    return _answer(_scaling(call, find(call, Model, pk)), SCALING_FIELDS)


def post_scaling(call: Call, pk: int) -> Response:
    """Change the given fields."""
    model = find(call, Model, pk)
    values = load(ScalingBody, body_of(call.request))
    row = _scaling(call, model)
    _check_scaling(model, row, values)
    return _change(call, row, values, SCALING_FIELDS)


def _check_scaling(model: Model, row: ModelScaling, values: dict[str, Any]) -> None:
    if model.run_mode == "V1" and values.get("scaling_strategy") == "DYNAMIC_TASKS":
        raise BadRequest({"scaling_strategy": ["DYNAMIC_TASKS is not allowed in v1."]})
    least = values.get("worker_count_min", row.worker_count_min)
    most = values.get("worker_count_max", row.worker_count_max)
    if least <= most:
        return
    errors = {}
    if "worker_count_min" in values:
        errors["worker_count_min"] = [f"Value '{least}' must be less than 'worker_count_max: {most}'"]
    if "worker_count_max" in values:
        errors["worker_count_max"] = [f"Value '{most}' must be greater than 'worker_count_min: {least}'"]
    raise BadRequest(errors)


def _model_chunking(call: Call, model: Model) -> ModelChunking:
    return call.session.get_one(ModelChunking, model.id)


def _analysis_chunking(call: Call, analysis: Analysis) -> AnalysisChunking | None:
    return call.session.get(AnalysisChunking, analysis.id)


def _scaling(call: Call, model: Model) -> ModelScaling:
    return call.session.get_one(ModelScaling, model.id)


def _change(call: Call, row: object, values: dict[str, Any], fields: tuple[str, ...]) -> Response:
    for name, value in values.items():
        setattr(row, name, value)
    call.session.flush()
    return _answer(row, fields)


def _answer(row: object | None, fields: tuple[str, ...]) -> Response:
    return json_answer({name: getattr(row, name) if row else None for name in fields})
