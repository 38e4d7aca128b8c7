"""The loop that sends the traces of ended runs, until they have arrived."""

import logging
from collections.abc import Callable
from threading import Event

from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import OperationalError

from services.task_controller.tracing.reading import due, read_run
from services.task_controller.tracing.spans import TracedRun
from shared.broker.delays import backoff
from shared.database.execution import Run

log = logging.getLogger(__name__)

_LOCK = 7_145_003
_LONGEST_PAUSE = 60.0


class Traces:
    """One replica at a time. `send` sends a run and returns whether all of it has arrived.

    A process that dies between sending and its commit has the run sent again, by the same ids.
    """

    def __init__(self, engine: Engine, send: Callable[[TracedRun], bool], every: float = 2.0) -> None:
        self._engine = engine
        self._send = send
        self._every = every
        self._refused: set[int] = set()

    def run(self, stopping: Event) -> None:
        """Until `stopping` is set; what has ended by then is sent first, if the collector took what was before it."""
        delays = backoff(self._every, _LONGEST_PAUSE)
        pause, arrives = self._every, True
        while not stopping.wait(pause):
            arrives = self._tried()
            if arrives:
                delays = backoff(self._every, _LONGEST_PAUSE)
            pause = self._every if arrives else next(delays)
        if arrives:
            self._tried()

    def look(self) -> bool:
        """Send what is due. Returns whether all that was tried has arrived."""
        with self._engine.connect() as connection:
            run_ids = due(connection, self._refused)
        return all(self._sent(run_id) for run_id in run_ids)

    def _tried(self) -> bool:
        try:
            return self.look()
        except OperationalError as error:
            log.warning("Cannot look for traces", extra={"reason": str(error)})
            return False
        except Exception:
            # The loops of this process end together, and runs must go on without their traces.
            log.exception("A trace cannot be sent")
            return False

    def _sent(self, run_id: int) -> bool:
        """In a transaction of its own, which locks the row only when all has arrived."""
        with self._engine.begin() as connection:
            is_our_turn = connection.scalar(select(func.pg_try_advisory_xact_lock(_LOCK)))
            run = read_run(connection, run_id) if is_our_turn else None
            if run is None:
                return True
            # Unless it arrives, the next look begins with the others: it may be this one that cannot be sent.
            self._refused.add(run_id)
            if not self._send(run):
                log.warning("A trace has not arrived", extra={"run": run_id})
                return False
            self._refused.discard(run_id)
            connection.execute(update(Run).where(Run.id == run_id).values(traced_at=func.now()))
        return True
