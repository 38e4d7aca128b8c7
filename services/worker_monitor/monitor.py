"""The loops of the worker monitor, wired together.

Order of shutdown: slots and registrations take nothing more; attempts that are held finish within the grace, else
they are handed back; only then heartbeats and answers end. The caller closes broker, store and database.
"""

import logging
from collections.abc import Callable
from functools import partial
from threading import Event
from uuid import uuid4

from sqlalchemy import Engine

from services.worker_monitor.audit_retention import AuditSweeper
from services.worker_monitor.beats import Beats
from services.worker_monitor.control import Control
from services.worker_monitor.holdings import Holdings
from services.worker_monitor.orphans import OrphanSweeper
from services.worker_monitor.recording import Recorder
from services.worker_monitor.registrations import Registrations
from services.worker_monitor.run_sweeper import RunSweeper
from services.worker_monitor.settings import Settings
from services.worker_monitor.slots import Slot
from services.worker_monitor.sweeper import Sweeper
from shared import names
from shared.broker.port import BrokerPort
from shared.broker.topology import Topology
from shared.core.plan import RECORDER_QUEUE
from shared.object_store import ObjectStore
from shared.service import threads
from shared.topology import PLATFORM, to_declare, worker_topology

log = logging.getLogger(__name__)

Loop = Callable[[Event], None]


class WorkerMonitor:
    """One incarnation: its worker id is new at every start. The broker must be connected."""

    def __init__(self, engine: Engine, broker: BrokerPort, store: ObjectStore, settings: Settings) -> None:
        self.worker_id = f"monitor-{uuid4().hex}"
        self._grace = settings.grace
        broker.declare(_topology(self.worker_id, prepared=settings.prepared))
        self._holdings = Holdings(settings.slots)
        recorder = Recorder(engine, store, settings.policy, self.worker_id)
        self._control = Control(broker, self.worker_id, self._holdings)
        self._beats = Beats(broker, self.worker_id, self._holdings, settings.beat_every)
        self._slots = [
            Slot(number, broker, self.worker_id, self._holdings, recorder.execute) for number in range(settings.slots)
        ]
        self._registrations = Registrations(engine, broker, store)
        self._sweeper = Sweeper(engine, store, settings.sweep_every, settings.keep_released)
        self._orphans = OrphanSweeper(engine, store, settings.orphans_every, settings.orphans_after)
        self._audit = AuditSweeper(engine, settings.audit_days, settings.sweep_every)
        self._run_sweeper = RunSweeper(engine, store, settings.retention, settings.sweep_every)

    def is_ready(self) -> bool:
        """Whether the broker has every consumer of ours."""
        consumers = (self._control.consumer, self._registrations.consumer, *(slot.consumer for slot in self._slots))
        return all(consumer.is_consuming for consumer in consumers)

    def run(self, stopping: Event) -> str | None:
        """Until `stopping` is set, and what is held is settled. Returns the name of a loop that failed, or None."""
        log.info("Recording", extra={"worker": self.worker_id, "slots": len(self._slots)})
        ending = Event()
        talking = {"control": self._control.run, "beats": self._beats.run}
        working: dict[str, Loop] = {f"slot-{number}": slot.run for number, slot in enumerate(self._slots)}
        working |= {"registrations": self._registrations.run, "drain": self._drain}
        working |= {"sweeper": self._sweeper.run, "run-sweeper": self._run_sweeper.run}
        working |= {"orphans": self._orphans.run, "audit-sweeper": self._audit.run}
        linked = {name: partial(_stopping_at_end, loop, stopping) for name, loop in talking.items()}
        with threads(ending, **linked) as mute, threads(stopping, **working) as failed:
            stopping.wait()
        return failed() or mute()

    def _drain(self, stopping: Event) -> None:
        stopping.wait()
        self._holdings.drain(self._grace)


def _topology(worker_id: str, *, prepared: bool) -> Topology:
    own = (names.MONITOR_QUEUE, RECORDER_QUEUE, names.worker_queue(worker_id))
    return to_declare(PLATFORM.merged(worker_topology(worker_id, RECORDER_QUEUE)), own, prepared=prepared)


def _stopping_at_end(loop: Loop, stopping: Event, ending: Event) -> None:
    """A worker that can no longer hear or beat must not work on."""
    try:
        loop(ending)
    finally:
        stopping.set()
