"""Every few seconds: plan what was missed, re-derive what should be ready or ended, and top up queues of tokens.

It never purges a queue: tokens without work die by the claims that they lead to.
"""

import logging
from collections import Counter
from datetime import timedelta
from functools import partial
from threading import Event

from sqlalchemy import Engine, delete, func, or_, select
from sqlalchemy.exc import OperationalError

from services.task_controller.planning import plan
from services.task_controller.settings import Settings
from shared.broker.errors import BrokerError
from shared.broker.port import BrokerPort
from shared.core.facts import Looked
from shared.core.states import RunState, SubTaskState
from shared.database.execution import Outbox, Run, StageRow, SubTask
from shared.database.outbox import Posting, post
from shared.database.transactions import in_working_set
from shared.database.working_set import WorkingSet
from shared.messages.catalogue import Token

log = logging.getLogger(__name__)

_LOCK = 7_145_002
_SOON = 1.0
"""Seconds to the next look at most, when this one failed or has to be confirmed: work waits for it."""
_KEEP_SENT = timedelta(hours=1)


class Reconciler:
    """One at a time, by an advisory lock of each round's transaction."""

    def __init__(self, engine: Engine, broker: BrokerPort, settings: Settings) -> None:
        self._engine = engine
        self._broker = broker
        self._settings = settings
        self._short: Counter[str] = Counter()

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set."""
        pause = self._settings.reconcile_every
        while not stopping.wait(pause):
            try:
                self.look()
                pause = self.pause()
            except (OperationalError, BrokerError) as error:
                log.warning("Cannot reconcile", extra={"reason": str(error)})
                pause = self.pause(failed=True)

    def pause(self, *, failed: bool = False) -> float:
        """Seconds to the next look."""
        every = self._settings.reconcile_every
        return min(_SOON, every) if failed or self._short else every

    def look(self) -> None:
        """One round. A replica that looks at the same time leaves it to the other."""
        with self._engine.begin() as connection:
            if not connection.execute(select(func.pg_try_advisory_xact_lock(_LOCK))).scalar_one():
                return
            for run_id in self._stalled():
                self._look_at(run_id)
            self._top_up()
            connection.execute(delete(Outbox).where(Outbox.sent_at < func.now() - _KEEP_SENT))

    def _look_at(self, run_id: int) -> None:
        try:
            in_working_set(self._engine, self._settings.policy, partial(_reconcile, run_id))
        except OperationalError:
            raise
        except Exception:
            # One run that nobody understands must not keep the others waiting.
            log.exception("A run cannot be reconciled", extra={"run": run_id})

    def _stalled(self) -> list[int]:
        """Runs that are alive but have nothing queued or started, or that are to be stopped."""
        moving = select(StageRow.run_id).where(StageRow.run_id == Run.id, StageRow.queued + StageRow.started > 0)
        still = ~moving.exists()
        stopping = Run.state.in_([RunState.CANCELLING, RunState.FAILING])
        with self._engine.connect() as connection:
            query = select(Run.id).where(Run.ended_at.is_(None), or_(still, stopping)).order_by(Run.id)
            return list(connection.scalars(query))

    def _top_up(self) -> None:
        """Publish tokens where, at two looks in a row, a queue held fewer than there are ready sub-tasks."""
        ready = self._ready()
        depths = self._broker.queue_depths(sorted(ready))
        short = Counter(
            {queue: count - (depths[queue].messages if queue in depths else 0) for queue, count in ready.items()}
        )
        missing = +(short & self._short)
        self._short = +short
        if missing:
            with self._engine.begin() as connection:
                post(connection, [Posting(Token(queue), queue, copies=count) for queue, count in missing.items()])
            self._short -= missing
            log.info("Topped up queues", extra={"tokens": dict(missing)})

    def _ready(self) -> Counter[str]:
        due = or_(SubTask.not_before.is_(None), SubTask.not_before <= func.now())
        query = select(SubTask.queue, func.count()).where(SubTask.state == SubTaskState.QUEUED, due)
        with self._engine.connect() as connection:
            return Counter({row[0]: row[1] for row in connection.execute(query.group_by(SubTask.queue))})


def _reconcile(run_id: int, work: WorkingSet) -> None:
    work.lock([run_id])
    if run_id not in work.runs:
        return
    if work.runs[run_id].facts.state == RunState.REQUESTED:
        plan(work, run_id)
    else:
        work.decide(run_id, Looked())
    work.flush()
