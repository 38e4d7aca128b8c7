"""Requesting the combination of the losses of several analyses, which is the only run that its analysis ever has."""

from uuid import uuid4

from sqlalchemy import func
from sqlalchemy.orm import Session

from shared import names
from shared.codec import to_plain
from shared.core.inputs import RunInputs
from shared.core.states import AnalysisStatus, RunKind, RunState
from shared.database.execution import Run
from shared.database.outbox import Posting, post
from shared.database.portfolio_runs import PRIORITY
from shared.database.resources import Analysis
from shared.messages.catalogue import StartRun


def request_combination(session: Session, analysis: Analysis, inputs: RunInputs) -> None:
    """Write the new analysis, born as RUN_STARTED, and its run."""
    analysis.status = AnalysisStatus.RUN_STARTED
    analysis.task_started = func.now()
    session.add(analysis)
    session.flush()
    run = Run(
        run_uuid=uuid4().hex,
        analysis_id=analysis.id,
        kind=RunKind.COMBINE,
        run_mode=names.SERVER_MODE,
        state=RunState.REQUESTED,
        priority=PRIORITY,
        model_queue=names.INTERNAL_QUEUE,
        requested_by_id=analysis.creator_id,
        inputs=to_plain(inputs),
    )
    session.add(run)
    session.flush()
    analysis.current_run_id = run.id
    session.flush()
    post(session, [Posting(StartRun(run.id), names.TASK_CONTROLLER_QUEUE)])
