"""A whole platform of real processes that is made to be broken: kill, pause, cut off, wipe, and see it go on."""

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import Engine, make_url

from services.embedded.backoff import Backoff
from services.embedded.client import ApiClient
from services.embedded.deaths import DeathReporter
from services.embedded.environment import Login
from services.embedded.layout import Layout
from services.embedded.platform import HOST, upgrade_database
from services.embedded.ports import free_port
from services.embedded.postgres import EmbeddedPostgres
from services.embedded.process_tree import ProcessTree
from services.embedded.rabbitmq import PrivateBroker
from services.embedded.service_process import Death
from shared.broker.library_logs import silence_libraries
from shared.broker.pika_client import BlockingBroker
from shared.database.engine import open_engine
from tests.faults import records
from tests.faults.platform.launching import SERVICES, WORKERS, Launch, Options, breakable_model
from tests.faults.platform.objects import ObjectsOf, directory
from tests.faults.platform.points import Points
from tests.faults.platform.wires import Wires, open_wires

DATABASE = "lossline"
_MODEL = ("Lossline", "Breakable", "1")
_RESTARTS = Backoff(first=0.2, longest=1.0, reset_after=5.0)
"""As a container engine would: soon, and again and again."""


@dataclass
class BrokenPlatform:
    """The parts of a running platform. Everything that starts or kills a server belongs to the main thread."""

    layout: Layout
    launch: Launch
    postgres: EmbeddedPostgres
    broker: PrivateBroker
    wires: Wires
    tree: ProcessTree
    engine: Engine
    observer: BlockingBroker
    points: Points
    model_id: int = 0
    reports_deaths: bool = True
    """Whether the death of a worker is reported, as a fleet's backend does; else its leases run out."""

    @property
    def client(self) -> ApiClient:
        """Logged in as the administrator, with a connection of its own."""
        return ApiClient(f"http://{HOST}:{self.launch.api_port}/", Login())

    @property
    def queue(self) -> str:
        """The queue of the model."""
        return f"{self.launch.model.name}-v2"

    def records(self) -> list[records.Record]:
        """What steps have really been executed."""
        return records.read(self.layout.home / "records.jsonl")

    def kill(self, service: str) -> None:
        """SIGKILL; the process tree starts it again."""
        self.signal(service, signal.SIGKILL)

    def signal(self, service: str, number: signal.Signals) -> None:
        """A signal to the process of a service; one that is just being started again gets none."""
        with suppress(KeyError, ProcessLookupError, psutil.NoSuchProcess):
            psutil.Process(self.tree.pids()[service]).send_signal(number)

    def wipe_broker(self) -> None:
        """Kill the broker and take away all that it ever knew."""
        self.broker.kill()
        shutil.rmtree(self.layout.rabbitmq / "data", ignore_errors=True)

    def heal(self) -> None:
        """Undo whatever still is broken, except what heals by itself."""
        self.points.clear()
        if self.broker.pid is None:
            self.broker.restart()
        if self.postgres.pid is None:
            self.postgres.restart()
        self.wires.forward()
        self.launch.objects.show()
        for service in SERVICES:
            self.signal(service, signal.SIGCONT)

    def wait_ready(self, within: float = 60.0) -> None:
        """Wait until every service answers that it is ready. Raises AssertionError."""
        for service in self.launch.services:
            assert service.ready is not None
            wait(service.ready, f"{service.name} to be ready", within=within)


@contextmanager
def broken_platform(
    options: Options | None = None,
    under_worker: Callable[[Path], AbstractContextManager[None]] | None = None,
    objects_of: ObjectsOf = directory,
) -> Iterator[BrokenPlatform]:
    """Start everything in a folder of its own; stop and remove it afterwards. For the main thread.

    `under_worker` is entered with the run directory of the first worker before that starts.
    """
    silence_libraries()
    with _home() as home, ExitStack() as entered:
        layout = Layout(home).create()
        if under_worker:
            entered.enter_context(under_worker(layout.run / WORKERS[0]))
        postgres = entered.enter_context(EmbeddedPostgres(layout.postgres, layout.logs / "postgres.log", durable=False))
        postgres.create_database(DATABASE)
        upgrade_database(postgres.url(DATABASE))
        broker = entered.enter_context(PrivateBroker(layout.rabbitmq, layout.logs / "rabbitmq.log"))
        wires = entered.enter_context(open_wires(SERVICES, broker, postgres, DATABASE))
        objects = entered.enter_context(objects_of(layout, SERVICES))
        model = breakable_model(layout.home / "model")
        launch = Launch(layout, wires, objects, model, options or Options(), free_port())
        platform = _started(entered, launch, postgres, broker)
        yield platform
        platform.heal()


def _started(entered: ExitStack, launch: Launch, postgres: EmbeddedPostgres, broker: PrivateBroker) -> BrokenPlatform:
    engine = open_engine(make_url(postgres.url(DATABASE)), name="lossline-faults")
    entered.callback(engine.dispose)
    observer = entered.enter_context(BlockingBroker(broker.url, "observer"))
    reporter = entered.enter_context(DeathReporter(broker.url))

    def told(death: Death) -> None:
        if platform.reports_deaths and death.name in WORKERS:
            reporter.report(launch.id_file(death.name), death)

    tree = entered.enter_context(ProcessTree(stop_order=("workers", "api"), on_death=told, backoff=_RESTARTS))
    points = Points(launch.layout.home / "points", SERVICES)
    platform = BrokenPlatform(launch.layout, launch, postgres, broker, launch.wires, tree, engine, observer, points)
    entered.callback(platform.heal)  # a process that is paused would not stop in order
    tree.start(*launch.services)
    platform.model_id = platform.client.wait_for_model(*_MODEL, within=60)
    return platform


@contextmanager
def _home() -> Iterator[Path]:
    """A folder that PostgreSQL's account can pass through."""
    home = Path(tempfile.mkdtemp(prefix="lossline-faults-"))
    home.chmod(0o711)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def wait(reached: Callable[[], object], what: str, *, within: float = 60.0) -> None:
    """Wait for a condition; `within` in seconds. Raises AssertionError."""
    deadline = time.monotonic() + within
    while not reached():
        assert time.monotonic() < deadline, f"waited {within:g} s for {what}"
        time.sleep(0.05)
