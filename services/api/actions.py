"""Runs: what must hold before one is requested or cancelled, and the request itself. Source: oasis_api.md section 2.1.

Every function wants the analysis locked (`lock_analysis`) and leaves it so.
"""

from collections.abc import Collection

from services.api.call import Call
from services.api.errors import BadRequest
from services.api.files import find_file, release_files
from services.api.run_inputs import (
    EventCount,
    Refusals,
    chunking_options,
    collect_inputs,
    events,
    facts,
    known_rows,
    location_rows,
    model_version,
)
from services.api.tracing import trace_parent
from shared import names
from shared.core.inputs import ChunkingFacts
from shared.core.states import ANALYSIS, AnalysisEvent, AnalysisStatus, RunKind, allows
from shared.database.requests import (
    INPUT_FILE_FIELDS,
    RunRequest,
    cancel_run,
    current_run,
    is_alive_generate_and_run,
    request_run,
)
from shared.database.resources import Analysis, Model, ModelScaling, Portfolio

RUN_MODES = ("V1", "V2")
_S = AnalysisStatus
_GENERATE_FROM = (
    _S.NEW,
    _S.INPUTS_GENERATION_ERROR,
    _S.INPUTS_GENERATION_NO_KEYS,
    _S.INPUTS_GENERATION_CANCELLED,
    _S.READY,
    _S.RUN_COMPLETED,
    _S.RUN_CANCELLED,
    _S.RUN_ERROR,
)
_RUN_FROM = (_S.READY, _S.RUN_COMPLETED, _S.RUN_ERROR, _S.RUN_CANCELLED)
_INPUTS_UNDER_WAY = (_S.INPUTS_GENERATION_QUEUED, _S.INPUTS_GENERATION_STARTED)
_LOSSES_UNDER_WAY = (_S.RUN_QUEUED, _S.RUN_STARTED)

NO_MODEL = {"model": "Model not assigned to analysis"}
_NOT_NULL = "Must not be null"


def model_of(call: Call, analysis: Analysis) -> Model:
    """The model, which may be deleted. Raises BadRequest where the analysis has none."""
    model = None if analysis.model_id is None else call.session.get(Model, analysis.model_id)
    if model is None:
        raise BadRequest(NO_MODEL)
    return model


def refuse_unfit_scaling(call: Call, model: Model) -> None:
    """Raises BadRequest for a v1 model that is to be scaled by its sub-tasks."""
    scaling = call.session.get(ModelScaling, model.id)
    if model.run_mode == "V1" and scaling is not None and scaling.scaling_strategy == "DYNAMIC_TASKS":
        raise BadRequest(["Model has invalid scaling setting"])


def request_inputs(call: Call, analysis: Analysis, model: Model, override: str | None) -> None:
    """Request input generation. Raises BadRequest with every reason against it."""
    run_mode = override or model.run_mode
    if run_mode not in RUN_MODES:
        raise BadRequest({"run_mode": ["run_mode must be  [V1, V2]"]})
    refusals = Refusals()
    _check_generate_state(call, analysis, refusals)
    _check_deleted(model, refusals)
    portfolio = _portfolio(call, analysis)
    if run_mode == "V1":
        _check_v1_exposure(portfolio, refusals)
        chunking = ChunkingFacts()
    else:
        rows = _rows(call, portfolio, '"location_file" must not be null for run_mode = V2', refusals)
        chunking = facts(chunking_options(call, analysis), rows, EventCount())
    refusals.raise_any()
    _request(call, analysis, model, portfolio, RunKind.GENERATE_INPUTS, run_mode, chunking)


def request_inputs_and_losses(call: Call, analysis: Analysis, model: Model) -> None:
    """Request both phases in one run. Raises BadRequest with every reason against it."""
    refusals = Refusals()
    _check_generate_state(call, analysis, refusals)
    if model.run_mode != "V2":
        refusals.add(
            "model", f'Model pk "{model.id}" - Unsupported Operation, "run_mode" must be "V2", not "{model.run_mode}"'
        )
    _check_deleted(model, refusals)
    if analysis.settings_file_id is None:
        refusals.add("settings_file", _NOT_NULL)
    portfolio = _portfolio(call, analysis)
    options = chunking_options(call, analysis)
    rows = _rows(call, portfolio, '"location_file" must not be null', refusals)
    event_count = events(call, analysis, model, options, refusals)
    refusals.raise_any()
    chunking = facts(options, rows, event_count)
    _request(call, analysis, model, portfolio, RunKind.GENERATE_AND_RUN, "V2", chunking)


def request_losses(call: Call, analysis: Analysis, model: Model, override: str | None) -> None:
    """Request the losses. Raises BadRequest."""
    if analysis.status not in _RUN_FROM or _goes_on_after_ready(call, analysis):
        raise BadRequest({"status": [f"Analysis must be in one of the following states [{', '.join(_RUN_FROM)}]"]})
    run_mode = override or model.run_mode
    if run_mode is None:
        raise BadRequest({"model": [f'Model pk "{model.id}" - "run_mode" must not be null']})
    if run_mode not in RUN_MODES:
        raise BadRequest({"run_mode": ["run_mode must be  [V1, V2]"]})
    refusals = Refusals()
    _check_deleted(model, refusals)
    if analysis.settings_file_id is None:
        refusals.add("analysis_settings_file", _NOT_NULL)
    if analysis.input_file_id is None:
        refusals.add("input_file", _NOT_NULL)
    chunking = ChunkingFacts()
    portfolio = _portfolio(call, analysis)
    if run_mode == "V2":
        options = chunking_options(call, analysis)
        chunking = facts(options, known_rows(call, portfolio), events(call, analysis, model, options, refusals))
    refusals.raise_any()
    _request(call, analysis, model, portfolio, RunKind.GENERATE_LOSSES, run_mode, chunking)


def cancel_any(call: Call, analysis: Analysis) -> None:
    """Cancel what is queued or running. Raises BadRequest where nothing is."""
    _cancel(call, analysis, (*_INPUTS_UNDER_WAY, *_LOSSES_UNDER_WAY), "Analysis is not running or queued")


def cancel_inputs(call: Call, analysis: Analysis) -> None:
    """Cancel input generation. Raises BadRequest where it is not under way."""
    _cancel(call, analysis, _INPUTS_UNDER_WAY, "Analysis input generation is not running or queued")


def cancel_losses(call: Call, analysis: Analysis) -> None:
    """Cancel the losses. Raises BadRequest where they are not under way."""
    _cancel(call, analysis, _LOSSES_UNDER_WAY, "Analysis execution is not running or queued")


def cancel_if_alive(call: Call, analysis: Analysis) -> None:
    """Cancel what is under way, if anything is."""
    status = AnalysisStatus(analysis.status)
    under_way = status != _S.READY or _goes_on_after_ready(call, analysis)
    if analysis.current_run_id is not None and under_way and allows(ANALYSIS, status, AnalysisEvent.CANCELLED):
        cancel_run(call.session, analysis)


def _cancel(call: Call, analysis: Analysis, states: Collection[AnalysisStatus], refusal: str) -> None:
    # Losses that are sure to follow a READY are under way as well.
    follows = _S.RUN_STARTED in states and _goes_on_after_ready(call, analysis)
    if analysis.status not in states and not follows:
        raise BadRequest({"status": [refusal]})
    cancel_run(call.session, analysis)


def _goes_on_after_ready(call: Call, analysis: Analysis) -> bool:
    """Whether the analysis is READY only for the moment between the two phases of one run."""
    return analysis.status == _S.READY and is_alive_generate_and_run(current_run(call.session, analysis))


def _check_generate_state(call: Call, analysis: Analysis, refusals: Refusals) -> None:
    if analysis.status not in _GENERATE_FROM or _goes_on_after_ready(call, analysis):
        refusals.add("status", f"Analysis status must be one of [{', '.join(_GENERATE_FROM)}]")


def _check_deleted(model: Model, refusals: Refusals) -> None:
    if model.deleted:
        refusals.add("model", f'Model pk "{model.id}" has been deleted')


def _check_v1_exposure(portfolio: Portfolio, refusals: Refusals) -> None:
    if portfolio.location_file_id is None and portfolio.accounts_file_id is None:
        refusals.add("portfolio", 'Either "location_file" or "accounts_file" must not be null for run_mode = V1')


def _rows(call: Call, portfolio: Portfolio, missing: str, refusals: Refusals) -> int | None:
    location = find_file(call, portfolio.location_file_id)
    if location is None:
        refusals.add("portfolio", missing)
        return None
    return location_rows(call, location, refusals)


def _portfolio(call: Call, analysis: Analysis) -> Portfolio:
    return call.session.get_one(Portfolio, analysis.portfolio_id)


def _request(
    call: Call,
    analysis: Analysis,
    model: Model,
    portfolio: Portfolio,
    kind: RunKind,
    run_mode: str,
    chunking: ChunkingFacts,
) -> None:
    losses_only = kind == RunKind.GENERATE_LOSSES
    request = RunRequest(
        kind=kind,
        run_mode=run_mode,
        model_queue=names.model_queue(model.supplier_id, model.model_id, model.version_id, run_mode),
        inputs=collect_inputs(call, analysis, portfolio, with_input_file=losses_only),
        facts=chunking,
        user_id=call.user.id,
        trace_parent=trace_parent(),
        model_version=model_version(model),
    )
    if not losses_only:
        release_files(call, *(getattr(analysis, field) for field in INPUT_FILE_FIELDS))
    request_run(call.session, analysis, request)
