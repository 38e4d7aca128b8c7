"""The reconcile loop: at every message, and every few seconds, what is wanted is compared with what is there.

Order of shutdown: the loop ends with the step that it is in; then, where the settings say so, all workers are told to
stop and waited for, else they stay and are found again; then the websocket's connection, the broker's and the health
server go.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import uuid4

from services.worker_controller.errors import ControllerError, FleetError
from services.worker_controller.fleet import Fleet, Member
from services.worker_controller.listening import Latest
from services.worker_controller.metrics import Decided
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.pacing import Hold, after_death
from services.worker_controller.plan import Rules, State, step
from services.worker_controller.platform_api import Reading, ScalingOptions, read_serving
from services.worker_controller.unserved import unserved
from services.worker_controller.world import Action, Bury, Drain, Fellow, Kill, Serving, Start, World
from shared.broker.errors import BrokerError

log = logging.getLogger(__name__)

_STOP_POLL = 0.2
_SAY_AGAIN = 5.0
"""Seconds until a reason why nobody serves a queue is said again; others forget it after some more."""


class Telling(Protocol):
    """A Teller, or what stands for it in tests."""

    def drain(self, worker_id: str) -> None: ...

    def died(self, worker_id: str, reason: str) -> None: ...

    def unserved(self, queue: str, reason: str) -> None: ...


@dataclass
class Controller:
    """Wired by the composition root. `every`: seconds between two comparisons where no message comes."""

    api: Reading
    fleet: Fleet
    tell: Telling
    latest: Latest
    models: Mapping[str, ModelEntry]
    options: ScalingOptions
    rules: Rules = field(default_factory=Rules)
    every: float = 2.0
    clock: Callable[[], float] = time.monotonic
    state: State = field(default_factory=State)
    decided: Decided = field(default_factory=Decided)
    _introduced: set[str] = field(default_factory=set, init=False)
    _last: Mapping[str, Serving] = field(default_factory=dict, init=False)
    """By name, what members said last: of one that dies with its host the API knows nothing more when that shows."""
    _said: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)
    """By queue, why nobody serves it, and when that was told."""

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set."""
        version = -1
        while not stopping.is_set():
            self.latest.wait_newer(version, self.every)
            version = self.latest.get()[1]
            try:
                self.reconcile()
            except (ControllerError, BrokerError) as error:
                log.warning("Cannot compare now; it is tried again", extra={"reason": str(error)})

    def reconcile(self) -> None:
        """Compare once, and do what follows. Raises ControllerError, BrokerError; what was not done shows next time."""
        before = self.state
        world = self.look()
        self.state, actions = step(before, world, self.clock(), self.rules)
        for queue, target in self.state.targets.items():
            was = before.targets[queue].workers if queue in before.targets else None
            if target.workers != was:
                self.decided.target(queue, was or 0, target.workers)
                log.info("A queue is to have workers", extra={"queue": queue, "workers": target.workers})
        for action in actions:
            self._perform(action)
        self._say_why_unserved(unserved(self.state, world, self.rules))

    def look(self) -> World:
        """What is there: the fleet last, so that whoever has beaten is a member."""
        demands, _ = self.latest.get()
        scalings = self.options.of(self.models.values())
        serving = read_serving(self.api)
        members = self.fleet.members()
        last = {**self._last, **serving}
        self._last = {member.name: last[member.name] for member in members if member.name in last}
        fellows = tuple(_fellow(each, (serving if each.ended is None else last).get(each.name)) for each in members)
        unknown = frozenset(self.models.keys() - scalings.keys())
        self._introduced |= {fellow.queue for fellow in fellows if fellow.queue in unknown and fellow.serving}
        slots = {queue: model.slots for queue, model in self.models.items()}
        times = {queue: model.start_within for queue, model in self.models.items() if model.start_within is not None}
        return World(demands, scalings, slots, fellows, unknown - self._introduced, times)

    def stop_workers(self, within: float) -> None:
        """Stop all workers and wait; whoever is still there after `within` seconds is killed."""
        for member in self._alive():
            log.info("Stopping a worker", extra={"fleet_name": member.name})
            self.fleet.stop(member.name)
        deadline = time.monotonic() + within
        while self._alive() and time.monotonic() < deadline:
            time.sleep(_STOP_POLL)
        for member in self._alive():
            log.warning("Killing a worker that did not stop", extra={"fleet_name": member.name, "within_s": within})
            self.fleet.kill(member.name)

    def _say_why_unserved(self, reasons: Mapping[str, str]) -> None:
        self._said = {queue: said for queue, said in self._said.items() if queue in reasons}
        now = self.clock()
        for queue, reason in reasons.items():
            before, at = self._said.get(queue, ("", now))
            if reason != before:
                log.warning("Nobody serves a queue with work", extra={"queue": queue, "reason": reason})
            if reason != before or now - at >= _SAY_AGAIN:
                self.tell.unserved(queue, reason)
                self._said[queue] = (reason, now)

    def _alive(self) -> list[Member]:
        return [member for member in self.fleet.members() if member.ended is None]

    def _perform(self, action: Action) -> None:
        match action:
            case Start(queue):
                self._start(queue)
            case Drain(name, worker_id):
                log.info("Draining a worker", extra={"fleet_name": name, "worker": worker_id})
                self.tell.drain(worker_id)
            case Kill(name, reason):
                log.warning("Killing a worker", extra={"fleet_name": name, "reason": reason})
                self.fleet.kill(name)
            case Bury(name, reason, worker_id):
                self._bury(name, reason, worker_id)

    def _start(self, queue: str) -> None:
        name = f"{queue}-{uuid4().hex[:12]}"
        try:
            self.fleet.start(name, self.models[queue])
        except FleetError as error:
            hold = after_death(self.state.holds.get(queue, Hold()), self.clock(), str(error), self.rules.pacing)
            self.state = replace(self.state, holds={**self.state.holds, queue: hold})
            self.decided.starts.add(queue, "failed")
            log.warning("A worker cannot be started", extra={"queue": queue, "reason": str(error)})
        else:
            self.decided.starts.add(queue, "started")
            log.info("Started a worker", extra={"queue": queue, "fleet_name": name})

    def _bury(self, name: str, reason: str, worker_id: str | None) -> None:
        """Report first: a report that fails is made again, from the member that is still there."""
        if worker_id is not None:
            self.tell.died(worker_id, reason)
        if reason:
            self.decided.deaths.add()
            log.warning("A worker has died", extra={"fleet_name": name, "worker": worker_id, "reason": reason})
        self.fleet.forget(name)


def _fellow(member: Member, serving: Serving | None) -> Fellow:
    died = None
    if member.ended is not None:
        died = "" if member.ended.in_order else member.ended.reason
    return Fellow(member.name, member.queue, member.age, serving, died, member.waiting)
