"""What the API commits in a request's own transaction: a requested run, or the wish to end one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sqlalchemy import func, insert, literal, select
from sqlalchemy.orm import Session

from shared import names
from shared.codec import to_plain
from shared.core.inputs import ChunkingFacts, RunInputs
from shared.core.plan import Phase
from shared.core.states import (
    ANALYSIS,
    RESUMABLE_RUNS,
    RUN,
    AnalysisEvent,
    AnalysisStatus,
    IllegalTransition,
    RunEvent,
    RunKind,
    RunState,
    allows,
    move,
)
from shared.database.execution import Run, RunFile
from shared.database.outbox import Posting, post
from shared.database.resources import Analysis
from shared.messages.catalogue import CancelRun, ChangePriority, StartRun

INPUT_FILE_FIELDS = (
    "input_file_id",
    "lookup_errors_file_id",
    "lookup_success_file_id",
    "lookup_validation_file_id",
    "summary_levels_file_id",
)
"""Cleared when inputs are requested; the caller releases the files they named."""


@dataclass(frozen=True)
class RunRequest:
    """What a run is asked for, checked by the caller."""

    kind: RunKind
    run_mode: str
    model_queue: str
    inputs: RunInputs
    facts: ChunkingFacts
    user_id: int | None
    trace_parent: str | None = None
    """The span of the request, where it is traced."""
    model_version: Mapping[str, Any] = field(default_factory=dict)
    """What the model says of its version now: column of `models` -> value."""


def lock_analysis(session: Session, analysis_id: int) -> Analysis | None:
    """The analysis, locked first as the lock order wants it, and read anew."""
    query = select(Analysis).where(Analysis.id == analysis_id).with_for_update(key_share=True)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def current_run(session: Session, analysis: Analysis) -> Run | None:
    """The run that the status belongs to, locked. Lock the analysis first."""
    if analysis.current_run_id is None:
        return None
    query = select(Run).where(Run.id == analysis.current_run_id).with_for_update(key_share=True)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def is_alive_generate_and_run(run: Run | None) -> bool:
    """Whether a run is under way that will go on after READY, so that READY allows no second run."""
    return (
        run is not None and run.kind == RunKind.GENERATE_AND_RUN and run.state in (RunState.REQUESTED, RunState.ACTIVE)
    )


def request_run(session: Session, analysis: Analysis, request: RunRequest) -> Run:
    """Write the run and move the (locked) analysis to QUEUED. Raises IllegalTransition in the wrong status."""
    losses_only = request.kind == RunKind.GENERATE_LOSSES
    event = AnalysisEvent.LOSSES_REQUESTED if losses_only else AnalysisEvent.INPUTS_REQUESTED
    before = AnalysisStatus(analysis.status)
    if before == AnalysisStatus.READY and is_alive_generate_and_run(current_run(session, analysis)):
        raise IllegalTransition(before, event)
    status = move(ANALYSIS, before, event)
    run = Run(
        run_uuid=uuid4().hex,
        analysis_id=analysis.id,
        kind=request.kind,
        run_mode=request.run_mode,
        state=RunState.REQUESTED,
        priority=analysis.priority,
        model_queue=request.model_queue,
        requested_by_id=request.user_id,
        inputs=to_plain(request.inputs),
        facts=to_plain(request.facts),
        model_version=dict(request.model_version),
        trace_parent=request.trace_parent,
    )
    session.add(run)
    session.flush()
    if not losses_only:
        for name in INPUT_FILE_FIELDS:
            setattr(analysis, name, None)
        analysis.inputs_traceback_run_id = None
    _make_current(session, analysis, run, status)
    return run


def resume_run(
    session: Session,
    analysis: Analysis,
    ended: Run,
    phase: Phase,
    user_id: int | None,
    trace_parent: str | None = None,
) -> Run:
    """Write a run that goes on where the (locked) current run has ended, and move the analysis to QUEUED.

    `phase` is what is left to do, by `phase_to_resume`. It reads what the ended one read. The caller has checked that
    nothing of that has changed. Raises IllegalTransition where the run has not ended, or in the wrong status.
    """
    event = AnalysisEvent.INPUTS_RESUMED if phase == Phase.INPUTS else AnalysisEvent.LOSSES_RESUMED
    if ended.state not in RESUMABLE_RUNS:
        raise IllegalTransition(RunState(ended.state), event)
    status = move(ANALYSIS, AnalysisStatus(analysis.status), event)
    same = {name: getattr(ended, name) for name in _SAME_AS_BEFORE}
    run = Run(
        run_uuid=uuid4().hex,
        state=RunState.REQUESTED,
        priority=analysis.priority,
        requested_by_id=user_id,
        resumed_from_id=ended.id,
        trace_parent=trace_parent,
        **same,
    )
    session.add(run)
    session.flush()
    recorded = select(literal(run.id), RunFile.name, RunFile.file_id).where(RunFile.run_id == ended.id)
    session.execute(insert(RunFile).from_select(["run_id", "name", "file_id"], recorded))
    if phase == Phase.INPUTS:
        analysis.inputs_traceback_run_id = None
    _make_current(session, analysis, run, status)
    return run


_SAME_AS_BEFORE = ("analysis_id", "kind", "run_mode", "model_queue", "inputs", "facts", "model_version")


def _make_current(session: Session, analysis: Analysis, run: Run, status: AnalysisStatus) -> None:
    analysis.status = status
    analysis.current_run_id = run.id
    analysis.run_mode = run.run_mode
    analysis.task_started = func.now()
    analysis.task_finished = None
    session.flush()
    post(session, [Posting(StartRun(run.id), names.TASK_CONTROLLER_QUEUE)])


def cancel_run(session: Session, analysis: Analysis) -> None:
    """Move the (locked) analysis to CANCELLED and its run to CANCELLING: from this commit on no claim succeeds.

    Raises IllegalTransition when nothing is queued or running.
    """
    run = current_run(session, analysis)
    if run is None:
        raise LookupError(f"analysis {analysis.id} has no run to cancel")
    before = AnalysisStatus(analysis.status)
    if before == AnalysisStatus.READY and not is_alive_generate_and_run(run):
        raise IllegalTransition(before, AnalysisEvent.CANCELLED)
    analysis.status = move(ANALYSIS, before, AnalysisEvent.CANCELLED)
    if allows(RUN, RunState(run.state), RunEvent.CANCEL_REQUESTED):
        run.state = move(RUN, RunState(run.state), RunEvent.CANCEL_REQUESTED)
    note_traceback(analysis, run)
    analysis.run_mode = None
    analysis.task_finished = func.now()
    session.flush()
    post(session, [Posting(CancelRun(run.id), names.TASK_CONTROLLER_QUEUE)])


def note_traceback(analysis: Analysis, run: Run) -> None:
    """Let the traceback file of the phase that the analysis has just ended be composed of this run's logs."""
    if analysis.status.startswith("INPUTS"):
        analysis.inputs_traceback_run_id = run.id
    else:
        analysis.losses_traceback_run_id = run.id


def change_priority(session: Session, analysis: Analysis, priority: int) -> None:
    """Give the analysis, and what still waits of its current run, another priority (1 to 10)."""
    analysis.priority = priority
    if analysis.current_run_id is not None:
        post(session, [Posting(ChangePriority(analysis.current_run_id, priority), names.TASK_CONTROLLER_QUEUE)])
