"""Requesting, resuming and cancelling runs. Source: oasis_api.md sections 1.5 and 2.1.

The order is the reference's: the analysis (404), its model, the scaling, then the state and what else must hold.
"""

from collections.abc import Callable

from flask import Response

from services.api import actions
from services.api.call import Call
from services.api.errors import BadRequest, Forbidden
from services.api.http import json_answer
from services.api.lookups import find_analysis, is_usable
from services.api.resuming import resume as resume_current
from services.api.serialize.analyses import analysis_body
from shared.database.resources import Analysis, Model


def generate_inputs(call: Call, pk: int) -> Response:
    """Request input generation."""
    analysis, model = _analysis_and_model(call, pk)
    actions.request_inputs(call, analysis, model, _override(call))
    return _answer(call, analysis)


def generate_and_run(call: Call, pk: int) -> Response:
    """Request input generation and losses, one after the other."""
    analysis, model = _analysis_and_model(call, pk)
    actions.request_inputs_and_losses(call, analysis, model)
    return _answer(call, analysis)


def run(call: Call, pk: int) -> Response:
    """Request the losses."""
    analysis, model = _analysis_and_model(call, pk)
    actions.request_losses(call, analysis, model, _override(call))
    return _answer(call, analysis)


def resume(call: Call, pk: int) -> Response:
    """Go on, as a new run, where the last one failed or was cancelled."""
    analysis, model = _analysis_and_model(call, pk)
    resume_current(call, analysis, model)
    return _answer(call, analysis)


def cancel(call: Call, pk: int) -> Response:
    """Cancel whatever is under way."""
    analysis = find_analysis(call, pk)
    _check_model_of(call, analysis)
    actions.cancel_any(call, analysis)
    return _answer(call, analysis)


def cancel_generate_inputs(call: Call, pk: int) -> Response:
    """Cancel input generation."""
    return _cancel(call, pk, actions.cancel_inputs)


def cancel_analysis_run(call: Call, pk: int) -> Response:
    """Cancel the losses."""
    return _cancel(call, pk, actions.cancel_losses)


def _analysis_and_model(call: Call, pk: int) -> tuple[Analysis, Model]:
    analysis = find_analysis(call, pk)
    model = actions.model_of(call, analysis)
    _check_model(call, model, "You are not allowed to run this model")
    if call.version != "v1":
        actions.refuse_unfit_scaling(call, model)
    elif model.run_mode != "V1":
        # The stray quote is the reference's.
        text = f"Model pk {model.id}' - Unsupported Operation, 'run_mode' must be 'V1', not '{model.run_mode}'"
        raise BadRequest({"model": [text]})
    return analysis, model


def _override(call: Call) -> str | None:
    return "V1" if call.version == "v1" else call.request.args.get("run_mode_override")


def _cancel(call: Call, pk: int, act: Callable[[Call, Analysis], None]) -> Response:
    analysis = find_analysis(call, pk)
    if call.version != "v1":
        actions.model_of(call, analysis)
    _check_model_of(call, analysis)
    act(call, analysis)
    return _answer(call, analysis)


def _check_model_of(call: Call, analysis: Analysis) -> None:
    if analysis.model_id is not None:
        _check_model(call, actions.model_of(call, analysis), "You are not allowed to cancel this model")


def _check_model(call: Call, model: Model, refusal: str) -> None:
    if not is_usable(call, model):
        raise Forbidden({"detail": refusal})


def _answer(call: Call, analysis: Analysis) -> Response:
    call.session.flush()
    return json_answer(analysis_body(call, analysis))
