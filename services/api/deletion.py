"""What goes with an analysis or portfolio: what runs is cancelled, files lose their owner, runs their objects."""

from datetime import timedelta

from sqlalchemy import select

from services.api.actions import cancel_if_alive
from services.api.call import Call
from services.api.files import release_files
from services.api.serialize.analyses import STORED_FIELDS
from shared.database.execution import Run
from shared.database.removals import all_prefixes, note_removals, portfolio_prefixes
from shared.database.resources import Analysis

AFTER_WORKERS = timedelta(hours=1)
"""By then no worker, not even one that had been cut off, still writes for a run that is gone."""


def give_up(call: Call, analysis: Analysis) -> None:
    """Cancel and release everything of the (locked) analysis, whose row is about to be deleted."""
    cancel_if_alive(call, analysis)
    release_files(call, *(getattr(analysis, f"{field}_id") for field in STORED_FIELDS))
    for run_uuid in call.session.scalars(select(Run.run_uuid).where(Run.analysis_id == analysis.id)).all():
        note_removals(call.session, all_prefixes(analysis.id, run_uuid), AFTER_WORKERS)
    call.session.flush()


def give_up_runs(call: Call, portfolio_id: int) -> None:
    """The runs of a (locked) portfolio go with its row; workers that hold attempts of them hear so at the next beat."""
    for run_uuid in call.session.scalars(select(Run.run_uuid).where(Run.portfolio_id == portfolio_id)).all():
        note_removals(call.session, portfolio_prefixes(portfolio_id, run_uuid), AFTER_WORKERS)
