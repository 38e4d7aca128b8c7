"""The service processes of one command: started in order, kept alive, and stopped in order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from services.embedded.backoff import Backoff
from services.embedded.child import log_tail, wait_until
from services.embedded.errors import EmbeddedError, ServiceFailed
from services.embedded.service_process import Death, Service, ServiceProcess

_POLL_SECONDS = 0.1

log = logging.getLogger(__name__)


class ProcessTree:
    """Runs services as children that never outlive this process, even when it is killed.

    One thread, that lives from entry to exit, starts every process: Linux ends a child with the *thread* that
    started it. `stop_order` names groups of services; the others are stopped after them, in reverse order of start.
    `on_death` is called in that thread, for each service that died by itself.
    """

    def __init__(
        self,
        *,
        stop_order: Sequence[str] = (),
        on_death: Callable[[Death], None] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._stop_order = tuple(stop_order)
        self._on_death = on_death
        self._backoff = backoff or Backoff()
        self._members: dict[str, ServiceProcess] = {}
        self._starting: dict[str, str] = {}  # name → how it died before it was ready, "" while it lives
        self._lock = threading.Lock()  # between the last look at a starting service and its promotion
        self._requests: SimpleQueue[tuple[Service, Future[None]]] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="process-tree")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, *services: Service) -> None:
        """Start services side by side and wait until each is ready.

        Raises ServiceFailed, with the last lines of its log, for one that dies or is not ready in time. Called again
        for services that need these ones; the caller leaves the tree's context on an error, which stops them all.
        """
        self.begin(*services)
        self.wait_ready(*services)

    def begin(self, *services: Service) -> None:
        """Start services without waiting for them; `wait_ready` is to follow."""
        for service in services:
            self._start_one(service)

    def wait_ready(self, *services: Service) -> None:
        """Wait until each of those that have begun is ready; raises as `start` does."""
        began = time.monotonic()
        for service in services:
            self._wait_ready(service, began)

    def pids(self) -> dict[str, int]:
        """The process ids by name; a service that waits for its restart is missing."""
        return {name: member.pid for name, member in self._members.items() if member.pid is not None}

    def stop(self) -> None:
        """Stop every group in order: SIGTERM, the longest grace of the group, SIGKILL. May be called twice."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _start_one(self, service: Service) -> None:
        if service.name in self._members:
            raise ValueError(f"there is already a service {service.name}")
        if self._stopping.is_set() or not self._thread.is_alive():
            raise EmbeddedError(f"{service.name} cannot be started: its process tree does not run.")
        started: Future[None] = Future()
        self._requests.put((service, started))
        started.result(timeout=30)

    def _wait_ready(self, service: Service, began: float) -> None:
        deadline = began + service.ready_within
        while service.ready is not None and not service.ready():
            self._raise_if_dead(service)
            if self._stopping.is_set():
                raise EmbeddedError(f"{service.name} was stopped before it was ready.")
            if time.monotonic() > deadline:
                raise self._failure(service, f"it did not answer within {service.ready_within:g} s")
            time.sleep(_POLL_SECONDS)
        with self._lock:
            self._raise_if_dead(service)
            del self._starting[service.name]

    def _raise_if_dead(self, service: Service) -> None:
        if self._starting[service.name]:
            raise self._failure(service, self._starting[service.name])

    @staticmethod
    def _failure(service: Service, reason: str) -> ServiceFailed:
        return ServiceFailed(service.name, reason, service.log, log_tail(service.log))

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._take_requests()
                for member in list(self._members.values()):
                    self._look_at(member)
        finally:
            self._stop_all()

    def _take_requests(self) -> None:
        """Start what was asked for; the wait for a request is also the pause between two looks."""
        try:
            service, started = self._requests.get(timeout=_POLL_SECONDS)
        except Empty:
            return
        member = ServiceProcess(service, self._backoff)
        try:
            member.start()
        except OSError as error:
            started.set_exception(error)
            return
        self._starting[service.name] = ""
        self._members[service.name] = member
        started.set_result(None)

    def _look_at(self, member: ServiceProcess) -> None:
        if self._starting.get(member.service.name):
            return  # it died before it was ready: its starter is told, and nothing is tried again
        try:
            death = member.look()
        except OSError:  # no process could be made just now
            log.exception("service could not be restarted", extra={"service": member.service.name})
            member.postpone()
            return
        if death is not None and not self._died_at_start(death):
            log.warning("service died", extra={"service": death.name, "pid": death.pid, "restart_in": death.restart_in})
            self._tell(death)

    def _died_at_start(self, death: Death) -> bool:
        with self._lock:
            if death.name in self._starting:
                self._starting[death.name] = str(death)
            return death.name in self._starting

    def _tell(self, death: Death) -> None:
        if self._on_death is None:
            return
        try:
            self._on_death(death)
        except Exception:  # a listener's error must not end the services
            log.exception("a listener to deaths failed", extra={"service": death.name})

    def _stop_all(self) -> None:
        for members in self._in_stop_order():
            for member in members:
                member.ask_to_stop()
            grace = max(member.service.grace for member in members)
            wait_until(lambda members=members: all(member.has_stopped() for member in members), grace)  # type: ignore[misc]
            for member in members:
                member.finish()

    def _in_stop_order(self) -> list[list[ServiceProcess]]:
        members = list(reversed(self._members.values()))
        named = [[m for m in members if m.service.group == group] for group in self._stop_order]
        rest = [[m] for m in members if m.service.group not in self._stop_order]
        return [group for group in (*named, *rest) if group]
