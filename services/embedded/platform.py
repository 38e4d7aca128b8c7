"""All of Lossline on this machine: database, broker, services and workers, started in order and stopped in order."""

import logging
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import make_url

from services.embedded.deaths import DeathReporter
from services.embedded.environment import Login, Surroundings, own_database
from services.embedded.layout import Layout
from services.embedded.models import ModelDirectory
from services.embedded.ports import check_port_free, free_port
from services.embedded.postgres import EmbeddedPostgres
from services.embedded.process_tree import ProcessTree
from services.embedded.rabbitmq import PrivateBroker
from services.embedded.readiness import http_ready
from services.embedded.running import announced
from services.embedded.scaling import ScaledModel, controller_environment, write_models_file
from services.embedded.service_process import Death, Service
from shared.core.plan import RunMode
from shared.database.migrations import upgrade
from shared.settings import database_url

log = logging.getLogger(__name__)

DATABASE = "lossline"
HOST = "127.0.0.1"
INTERNAL_WORKER = "internal-worker"
_STOP_ORDER = ("workers", "api", "controller")
"""Groups of services. What hands out and records comes last, together."""


@dataclass(frozen=True)
class Fleet:
    """The workers of one model on this machine: so many, or at most so many where they follow the work."""

    model: ModelDirectory
    workers: int = 1
    slots: int = 1
    run_mode: RunMode = RunMode.V2
    environ: Mapping[str, str] = field(default_factory=dict)
    """What its workers get besides."""

    def __str__(self) -> str:
        """As `lossline up` prints it."""
        if self.run_mode == RunMode.V1:
            return f"Model {self.model.name}: {self.workers} worker(s) of v1 with every core each"
        return f"Model {self.model.name}: {self.workers} worker(s) with {self.slots} slot(s) each"


@dataclass
class Platform:
    """Enter it in the main thread; `said` is told what is being waited for, in short sentences."""

    layout: Layout
    fleets: Sequence[Fleet]
    port: int
    kernel_cache: Path
    said: Callable[[str], None]
    login: Login = field(default_factory=lambda: Login.of(os.environ))
    websocket_port: int = field(default_factory=free_port)
    scale: bool = False
    """Whether workers follow the work, started by a worker controller."""
    _resources: ExitStack = field(default_factory=ExitStack, init=False)

    @property
    def url(self) -> str:
        """The address of the API, without `/api`."""
        return f"http://{HOST}:{self.port}/"

    @property
    def websocket_url(self) -> str:
        """The address of the websocket server, without a path."""
        return f"ws://{HOST}:{self.websocket_port}/"

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            self._start(entered)
            self._resources = entered.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._resources.close()

    def _start(self, entered: ExitStack) -> None:
        self.layout.create()
        for port in (self.port, self.websocket_port):
            check_port_free(HOST, port)
        # The broker takes seconds, in which the database is made ready and workers load what they need.
        broker = PrivateBroker(self.layout.rabbitmq, self.layout.logs / "rabbitmq.log", waits=False)
        entered.enter_context(broker)
        surroundings = self._surroundings(self._database(entered), broker.url)
        self.said("bringing the database up to date")
        upgrade_database(surroundings.database)
        of_others = surroundings.with_database() | {"OASIS_WEBSOCKET_PORT": str(self.websocket_port)}
        entered.enter_context(announced(self.layout, self.url, of_others))
        reporter = DeathReporter(broker.url)
        tree = entered.enter_context(ProcessTree(stop_order=_STOP_ORDER, on_death=self._on_death(reporter)))
        fixed = () if self.scale else self.fleets
        workers = [worker for fleet in fixed for worker in self._workers(surroundings, fleet)]
        tree.begin(*workers)  # they load for seconds, and wait for the broker themselves
        self.said("waiting for RabbitMQ")
        broker.wait_ready()
        entered.enter_context(reporter)
        self.said("starting the services and the workers")
        tree.start(*self._services(surroundings), self._internal_worker(surroundings))
        tree.wait_ready(*workers)
        if self.scale:
            tree.start(self._worker_controller(surroundings))

    def _database(self, entered: ExitStack) -> str:
        """The URL of the user's database where one is configured, else of our own."""
        if own_database(os.environ):
            return database_url(os.environ).render_as_string(hide_password=False)
        self.said("starting PostgreSQL")
        postgres = entered.enter_context(EmbeddedPostgres(self.layout.postgres, self.layout.logs / "postgres.log"))
        postgres.create_database(DATABASE)
        return postgres.url(DATABASE)

    def _surroundings(self, database: str, broker: str) -> Surroundings:
        return Surroundings(
            database=database,
            broker=broker,
            objects=self.layout.objects,
            secret_key=kept_secret(self.layout.home / "secret_key"),
            kernel_cache=self.kernel_cache,
            login=self.login,
            keep=dict(os.environ),
        )

    def _services(self, surroundings: Surroundings) -> list[Service]:
        with_health = {
            "task-controller": ("services.task_controller", "OASIS_TASK_CONTROLLER_HEALTH_PORT"),
            "worker-monitor": ("services.worker_monitor", "OASIS_WORKER_MONITOR_HEALTH_PORT"),
        }
        services = [
            self._service(
                name, module, surroundings.with_database() | {variable: str(port)}, ready_at(port), "controller"
            )
            for name, (module, variable) in with_health.items()
            for port in (free_port(),)
        ]
        return [*services, *self._api(surroundings)]

    def _api(self, surroundings: Surroundings) -> list[Service]:
        """Its two processes. Whether they are well is asked where clients ask."""
        parts = (
            ("api", "services.api", self.port, surroundings.of_api),
            ("websocket", "services.api.websocket", self.websocket_port, surroundings.of_websocket),
        )
        return [
            self._service(name, module, of(HOST, port), http_ready(f"http://{HOST}:{port}/healthcheck/"), "api")
            for name, module, port, of in parts
        ]

    def _workers(self, surroundings: Surroundings, fleet: Fleet) -> list[Service]:
        workers = []
        for number in range(1, fleet.workers + 1):
            name = worker_name(fleet, number)
            run, id_file = self.layout.run / name, self._id_file(name)
            environ = surroundings.of_worker(fleet.model, fleet.slots, run, id_file, fleet.run_mode)
            workers.append(self._worker(name, {**environ, **fleet.environ}))
        return workers

    def _internal_worker(self, surroundings: Surroundings) -> Service:
        environ = surroundings.of_internal_worker(self.layout.run / INTERNAL_WORKER, self._id_file(INTERNAL_WORKER))
        return self._worker(INTERNAL_WORKER, environ)

    def _worker(self, name: str, environ: Mapping[str, str]) -> Service:
        port = free_port()
        environ = {**environ, "OASIS_WORKER_HEALTH_PORT": str(port)}
        module, ready = "services.model_worker", ready_at(port)
        return self._service(name, module, environ, ready, "workers", grace=45, within=180)

    def _worker_controller(self, surroundings: Surroundings) -> Service:
        cache = {"NUMBA_CACHE_DIR": str(self.kernel_cache)}
        models = [
            ScaledModel(each.model, each.run_mode, each.workers, each.slots, {**cache, **each.environ})
            for each in self.fleets
        ]
        write_models_file(self.layout, models)
        api, port = (HOST, self.port), free_port()
        environ = controller_environment(self.layout, surroundings, models, api, self.websocket_port)
        environ["OASIS_WORKER_CONTROLLER_HEALTH_PORT"] = str(port)
        module = "services.worker_controller"
        return self._service("worker-controller", module, environ, ready_at(port), "workers", grace=60)

    def _service(
        self,
        name: str,
        module: str,
        environ: dict[str, str],
        ready: Callable[[], bool],
        group: str,
        *,
        grace: float = 15,
        within: float = 60,
    ) -> Service:
        return Service(
            name=name,
            argv=(sys.executable, "-m", module),
            log=self.layout.logs / f"{name}.log",
            env=environ,
            group=group,
            ready=ready,
            ready_within=within,
            grace=grace,
        )

    def _on_death(self, reporter: DeathReporter) -> Callable[[Death], None]:
        def tell(death: Death) -> None:
            self.said(f"{death}; starting it again")
            id_file = self._id_file(death.name)
            if id_file.exists():
                reporter.report(id_file, death)

        return tell

    def _id_file(self, name: str) -> Path:
        return self.layout.run / f"{name}.id"


def worker_name(fleet: Fleet, number: int) -> str:
    """How a worker of this machine is called in files and on the screen."""
    mode = "-v1" if fleet.run_mode == RunMode.V1 else ""
    return f"worker-{fleet.model.model_id}{mode}-{number}"


def ready_at(port: int) -> Callable[[], bool]:
    """A probe of a service's readiness."""
    return http_ready(f"http://{HOST}:{port}/readyz")


def kept_secret(path: Path) -> str:
    """A random text that this machine keeps, so that tokens stay valid over a restart."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text(encoding="utf-8")


def upgrade_database(url: str) -> None:
    """Run the migrations."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    upgrade(make_url(url))
