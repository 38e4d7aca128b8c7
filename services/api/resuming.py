"""Resuming a failed or cancelled run: everything that must hold, and the request itself.

A resumed run must end as if it had never stopped. So it reads what the ended one was requested with, and is refused
when a new run would read, or be split, otherwise.
"""

from hashlib import sha256

from sqlalchemy import select

from services.api.call import Call
from services.api.errors import BadRequest
from services.api.left_objects import refuse_lost_objects, stages_of
from services.api.resume_rules import changed_files, changed_versions, has_other_data
from services.api.run_inputs import Refusals, chunking_options, collect_inputs, events, model_version
from services.api.tracing import trace_parent
from shared import names
from shared.codec import from_plain
from shared.core.chunking import ChunkingError, ChunkStrategy, lookup_chunks, loss_chunks
from shared.core.inputs import ChunkingFacts, FileRef, RunInputs
from shared.core.resuming import phase_to_resume
from shared.core.states import RESUMABLE_RUNS, IllegalTransition, RunKind, RunState
from shared.database.execution import Run, RunFile, StageRow
from shared.database.requests import current_run, resume_run
from shared.database.resources import Analysis, File, Model, Portfolio

STOPPING = (RunState.CANCELLING, RunState.FAILING)
OTHERWISE = "since the run was requested; request a new run"


def resume(call: Call, analysis: Analysis, model: Model) -> None:
    """Request a run that goes on where the (locked) current one has ended. Raises BadRequest with every reason."""
    ended = _planned(call, _ended_run(call, analysis))
    refusals = Refusals()
    _check_model(ended, model, refusals)
    _check_inputs(call, analysis, ended, refusals)
    _check_chunks(call, analysis, model, ended, refusals)
    refusals.raise_any()
    stages = stages_of(call, ended)
    phase = phase_to_resume(RunKind(ended.kind), (stage.facts for stage in stages))
    if phase is None:
        raise BadRequest({"status": ["Nothing of the run is left to do"]})
    refuse_lost_objects(call, ended, stages, phase)
    try:
        resume_run(call.session, analysis, ended, phase, call.user.id, trace_parent())
    except IllegalTransition as error:
        raise BadRequest({"status": [f"The run cannot be resumed: {error}"]}) from error


def _ended_run(call: Call, analysis: Analysis) -> Run:
    run = current_run(call.session, analysis)
    if run is None:
        raise BadRequest({"status": ["Analysis has no run to resume"]})
    if run.state in STOPPING:
        text = f"The run is {run.state}: its workers have not yet confirmed that they have ended. Try again soon"
        raise BadRequest({"status": [text]})
    if run.state not in RESUMABLE_RUNS:
        raise BadRequest({"status": [f"The run is {run.state}, only one that is FAILED or CANCELLED can be resumed"]})
    return run


def _planned(call: Call, run: Run) -> Run:
    """The run, or, where it was cancelled before it had got its plan, the one that it was itself resumed from."""
    while run.resumed_from_id is not None and call.session.get(StageRow, (run.id, 0)) is None:
        run = call.session.get_one(Run, run.resumed_from_id)
    return run


def _check_model(ended: Run, model: Model, refusals: Refusals) -> None:
    queue = names.model_queue(model.supplier_id, model.model_id, model.version_id, ended.run_mode)
    if model.deleted:
        refusals.add("model", f'Model pk "{model.id}" has been deleted')
    if queue != ended.model_queue:
        refusals.add("model", f"The analysis has another model {OTHERWISE}")
    for name in changed_versions(ended.model_version, model_version(model)):
        refusals.add("model", f"{name} of the model has changed {OTHERWISE}")


def _check_inputs(call: Call, analysis: Analysis, ended: Run, refusals: Refusals) -> None:
    before = from_plain(RunInputs, ended.inputs)
    portfolio = call.session.get_one(Portfolio, analysis.portfolio_id)
    losses_only = ended.kind == RunKind.GENERATE_LOSSES
    now = collect_inputs(call, analysis, portfolio, with_input_file=losses_only)
    for name in changed_files(before, now):
        refusals.add("inputs", f"{name} has changed {OTHERWISE}")
    if before.reporting_currency != now.reporting_currency:
        refusals.add("inputs", f"reporting_currency has changed {OTHERWISE}")
    if has_other_data(before, now):
        refusals.add("complex_model_data_files", f"The data files have changed {OTHERWISE}")
    if not _has_same_settings(call, ended, before.files.get("settings_file"), now.files.get("settings_file")):
        refusals.add("settings_file", f"The settings have changed {OTHERWISE}")


def _has_same_settings(call: Call, ended: Run, before: FileRef | None, now: FileRef | None) -> bool:
    """Settings may have been uploaded anew, or be those that the run itself has recorded."""
    if before is None or now is None:
        return before == now
    if now.key in (before.key, _recorded_settings(call, ended)):
        return True
    return call.store.exists(before.key) and _digest(call, before.key) == _digest(call, now.key)


def _recorded_settings(call: Call, ended: Run) -> str | None:
    of_run = select(File.key).join(RunFile, RunFile.file_id == File.id).where(RunFile.run_id == ended.id)
    key: str | None = call.session.scalar(of_run.where(RunFile.name == "settings_file"))
    return key


def _digest(call: Call, key: str) -> bytes:
    with call.store.open(key) as stream:
        return sha256(stream.read()).digest()


def _check_chunks(call: Call, analysis: Analysis, model: Model, ended: Run, refusals: Refusals) -> None:
    """A run that was never planned has no counts to keep, and AUTO promises none: the resumed run has those it had."""
    options = chunking_options(call, analysis)
    facts = from_plain(ChunkingFacts, ended.facts)
    try:
        if ended.lookup_chunks is not None and options.lookup_strategy != ChunkStrategy.AUTO:
            now = lookup_chunks(options, facts.location_rows or 0)
            _check_count("lookup_chunks", ended.lookup_chunks, now, refusals)
        if ended.loss_chunks is not None and options.loss_strategy != ChunkStrategy.AUTO:
            now = loss_chunks(options, events(call, analysis, model, options, refusals).events)
            _check_count("analysis_chunks", ended.loss_chunks, now, refusals)
    except ChunkingError as error:
        refusals.merge(error)


def _check_count(name: str, before: int, now: int, refusals: Refusals) -> None:
    if before != now:
        refusals.add(name, f"The run has {before}, a new one would have {now}; request a new run")
