"""Reads the queue status: a fixed number of statements over runs that have not ended, their stages, and the workers.

Rows of ended runs and of sub-tasks are never looked at, so that the cost follows what is under way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, Executable, func, select
from sqlalchemy.orm import Session

from services.api.queue_status.numbers import LiveAnalysis, Queue, QueueStatus, Share
from services.api.serialize.models import model_bodies
from shared.core.states import AnalysisStatus
from shared.database.execution import QUEUE_STATUS_VERSION, UNREPEATED, Run, StageRow, UnservedQueue, Worker
from shared.database.resources import Analysis, Model
from shared.names import model_queue

SILENCE = timedelta(seconds=10)
"""A worker whose last heartbeat is older does not count."""

_SNAPSHOT = {"isolation_level": "REPEATABLE READ"}
_V2_SUFFIX = "-v2"
_COUNTERS = ("size", "pending", "queued", "started", "completed", "error", "cancelled")
_LISTED = (
    AnalysisStatus.NEW,
    AnalysisStatus.INPUTS_GENERATION_QUEUED,
    AnalysisStatus.INPUTS_GENERATION_STARTED,
    AnalysisStatus.READY,
    AnalysisStatus.RUN_QUEUED,
    AnalysisStatus.RUN_STARTED,
)


@dataclass(frozen=True)
class PathLinks:
    """What bodies are made from where there is no request: their links are paths."""

    session: Session
    version: str = "v2"

    def url(self, path: str) -> str:
        """`models/1/` -> `/api/v2/models/1/`."""
        return f"/api/{self.version}/{path}"


def read_queue_status(engine: Engine, *, with_idle: bool = False) -> QueueStatus:
    """The status of one moment; with `with_idle` also the queues of models that have nothing to do."""
    with Session(engine.execution_options(**_SNAPSHOT)) as session:
        # The version is drawn by the statement that takes the snapshot, so that a higher one saw no less.
        version, now = session.execute(select(QUEUE_STATUS_VERSION.next_value(), func.now())).one()
        shares = _shares(session)
        serving = {row.queue: int(row.workers) for row in session.execute(_serving())}
        reasons = {row.queue: str(row.reason) for row in session.execute(_unserved())}
        models = _models_by_queue(session, None if with_idle else _queues_of(shares) | serving.keys())
        return QueueStatus(version, now, _queues(shares, serving, reasons, models), tuple(_analyses(session, shares)))


def _shares(session: Session) -> Mapping[int, tuple[Share, ...]]:
    """By run, cancelled and failed runs that still stop among them: their attempts still hold workers."""
    sums = [func.sum(getattr(StageRow, name)).label(name) for name in _COUNTERS]
    query = select(StageRow.run_id, StageRow.queue, *sums).join(Run, Run.id == StageRow.run_id)
    alive = query.where(Run.ended_at.is_(None)).group_by(StageRow.run_id, StageRow.queue)
    found: dict[int, tuple[Share, ...]] = {}
    for run_id, queue, *counts in session.execute(alive):
        share = Share(queue, **{name: int(count) for name, count in zip(_COUNTERS, counts, strict=True)})
        found[run_id] = (*found.get(run_id, ()), share)
    return found


def _analyses(session: Session, shares: Mapping[int, tuple[Share, ...]]) -> Iterator[LiveAnalysis]:
    columns = (
        Analysis.id,
        Analysis.name,
        Analysis.portfolio_id.label("portfolio"),
        Analysis.model_id.label("model"),
        Analysis.status,
        Analysis.priority,
        Analysis.analysis_chunks,
        Analysis.lookup_chunks,
    )
    # From the few runs to their analyses, never the other way round.
    query = select(Run.id.label("run"), *columns).join(Analysis, Analysis.id == Run.analysis_id)
    listed = query.where(Run.ended_at.is_(None), Analysis.current_run_id == Run.id, Analysis.status.in_(_LISTED))
    for row in session.execute(listed.order_by(Analysis.id)).mappings():
        values: dict[str, Any] = dict(row)
        yield LiveAnalysis(shares=shares.get(values.pop("run"), ()), **values)


def _serving() -> Executable:
    alive = (Worker.died_at.is_(None), Worker.draining.is_(False), Worker.last_seen >= func.now() - SILENCE)
    return select(Worker.queue, func.count().label("workers")).where(*alive).group_by(Worker.queue)


def _unserved() -> Executable:
    return select(UnservedQueue.queue, UnservedQueue.reason).where(UnservedQueue.told_at >= func.now() - UNREPEATED)


def _models_by_queue(session: Session, queues: set[str] | None) -> Mapping[str, list[dict[str, Any]]]:
    """Bodies of models by the queue that they are run on; of all queues of models where None is given."""
    identity = func.concat(Model.supplier_id, "-", Model.model_id, "-", Model.version_id)
    query = select(Model).where(Model.deleted.is_(False)).order_by(Model.id)
    if queues is not None:
        query = query.where(identity.in_({name.removesuffix(_V2_SUFFIX) for name in queues}))
    found = list(session.scalars(query))
    by_queue: dict[str, list[dict[str, Any]]] = {}
    for model, body in zip(found, model_bodies(PathLinks(session), found), strict=True):
        own = {model.queue, model.queue + _V2_SUFFIX}
        for name in _queue_it_runs_on(model) if queues is None else own & queues:
            by_queue.setdefault(name, []).append(body)
    return by_queue


def _queue_it_runs_on(model: Model) -> set[str]:
    names = (model.supplier_id, model.model_id, model.version_id)
    return {model_queue(*names, model.run_mode)} if model.run_mode else set()


def _queues_of(shares: Mapping[int, tuple[Share, ...]]) -> set[str]:
    return {share.queue for each in shares.values() for share in each}


def _queues(
    shares: Mapping[int, tuple[Share, ...]],
    serving: Mapping[str, int],
    reasons: Mapping[str, str],
    models: Mapping[str, list[dict[str, Any]]],
) -> tuple[Queue, ...]:
    pieces: dict[str, list[Share]] = {}
    for share in (share for each in shares.values() for share in each):
        pieces.setdefault(share.queue, []).append(share)
    return tuple(
        Queue(
            name,
            pending=sum(share.pending for share in pieces.get(name, [])),
            queued=sum(share.queued for share in pieces.get(name, [])),
            started=sum(share.started for share in pieces.get(name, [])),
            workers=serving.get(name, 0),
            models=tuple(models.get(name, [])),
            unserved=None if name in serving else reasons.get(name),
        )
        for name in sorted(pieces.keys() | serving.keys() | models.keys())
    )
