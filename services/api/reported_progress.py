"""Progress that workers of somebody else tell of: `oasislmf` in one that is not ours. Source: oasis_api.md section 6.4.

Such a report names an analysis, no attempt. Every chunk of theirs tells the total anew; nothing that is told takes
back what was told before.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.api.schemas.fields import LARGEST_ID
from shared.database.execution import ReportedProgress, Run
from shared.database.resources import Analysis

_MOST = 2**31 - 1
"""Events that one report may tell of."""


class BadReport(Exception):
    """Not a report of progress: it needs "analysis_pk", and "events_total" or "events_complete", as whole numbers."""


@dataclass(frozen=True)
class Report:
    """The events of the whole set, or how many more are complete."""

    analysis_id: int
    total: int = 0
    more: int = 0


def read_report(payload: Any) -> Report:
    """A report from its JSON; numbers may be texts. Raises BadReport."""
    if not isinstance(payload, dict) or not {"events_total", "events_complete"} & payload.keys():
        raise BadReport(BadReport.__doc__)
    number = {name: _number(payload.get(name, 0)) for name in ("analysis_pk", "events_total", "events_complete")}
    if number["analysis_pk"] > LARGEST_ID:
        raise BadReport(BadReport.__doc__)
    return Report(number["analysis_pk"], min(number["events_total"], _MOST), min(number["events_complete"], _MOST))


def note_report(session: Session, report: Report) -> bool:
    """Count it for the current run of the analysis. False where there is none that is alive."""
    run = select(Run.id, literal(report.total), literal(report.more)).join(Analysis, Analysis.current_run_id == Run.id)
    alive = run.where(Analysis.id == report.analysis_id, Run.ended_at.is_(None))
    names = ["run_id", "events_total", "events_complete"]
    statement = insert(ReportedProgress).from_select(names, alive)
    news = statement.excluded
    counted = {
        "events_total": func.greatest(ReportedProgress.events_total, news.events_total),
        "events_complete": ReportedProgress.events_complete + news.events_complete,
    }
    upsert = statement.on_conflict_do_update(index_elements=["run_id"], set_=counted)
    return session.scalar(upsert.returning(ReportedProgress.run_id)) is not None


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadReport(BadReport.__doc__)
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadReport(BadReport.__doc__)
    return int(text)
