"""What is asked of a run that was requested, or refused."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.codec import from_plain
from shared.core.inputs import RunInputs
from shared.database.execution import Outbox, Run
from shared.database.resources import File
from tests.api.api_client import Api

GENERATE_STATES = (
    "Analysis status must be one of [NEW, INPUTS_GENERATION_ERROR, INPUTS_GENERATION_NO_KEYS, "
    "INPUTS_GENERATION_CANCELLED, READY, RUN_COMPLETED, RUN_CANCELLED, RUN_ERROR]"
)
RUN_STATES = "Analysis must be in one of the following states [READY, RUN_COMPLETED, RUN_ERROR, RUN_CANCELLED]"
UNDER_WAY = ("INPUTS_GENERATION_QUEUED", "INPUTS_GENERATION_STARTED", "RUN_QUEUED", "RUN_STARTED")


def refused(api: Api, session: Session, analysis: Any, action: str, body: Any) -> None:
    """The action is refused with this body and leaves everything as it was."""
    before = api.get(f"analyses/{analysis['id']}/").json
    counts = _counts(session)

    answer = api.post(f"analyses/{analysis['id']}/{action}")

    assert (answer.status_code, answer.json) == (400, body), action
    assert api.get(f"analyses/{analysis['id']}/").json == before
    assert _counts(session) == counts


def _counts(session: Session) -> list[int]:
    session.rollback()
    counts = [session.scalar(select(func.count()).select_from(table)) for table in (Run, Outbox, File)]
    return [*(count or 0 for count in counts), session.scalar(select(func.count(File.released_at))) or 0]


def inputs_of(run: Run) -> RunInputs:
    return from_plain(RunInputs, run.inputs)
