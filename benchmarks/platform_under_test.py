"""Lossline as it is shipped, every service a process of its own, with a worker whose steps do nothing."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, make_url, select
from sqlalchemy.orm import Session

from benchmarks.places import Places
from benchmarks.resources import family
from services.api.auth import tokens
from services.embedded.environment import Surroundings
from services.embedded.models import ModelDirectory, read_model_directory
from services.embedded.platform import HOST, ready_at
from services.embedded.ports import free_port
from services.embedded.process_tree import ProcessTree
from services.embedded.readiness import http_ready
from services.embedded.service_process import Service
from shared.core.chunking import ChunkingOptions
from shared.core.inputs import ChunkingFacts, RunInputs
from shared.core.states import AnalysisStatus, RunKind, RunState
from shared.database.engine import open_engine
from shared.database.execution import Run
from shared.database.migrations import upgrade
from shared.database.requests import RunRequest, lock_analysis, request_run
from shared.database.resources import Analysis, Portfolio, User

CHECKOUT = Path(__file__).parents[1]
VHOST = "lossline"
WORKER, CONTROLLER, WEBSOCKET = "model-worker", "task-controller", "api.websocket"
POLL_SECONDS = 0.02


class RunFailed(Exception):
    """A run of a benchmark has not completed."""


@dataclass(frozen=True)
class PlatformUnderTest:
    """The running services, by name, and their database."""

    engine: Engine
    model: ModelDirectory
    pids: Mapping[str, int]
    queue: str

    def request(self, chunks: int, kind: RunKind = RunKind.GENERATE_AND_RUN) -> int:
        """Request a run of one lookup chunk and so many loss chunks, as the API does. Returns its id once committed."""
        before = AnalysisStatus.READY if kind == RunKind.GENERATE_LOSSES else AnalysisStatus.NEW
        facts = ChunkingFacts(ChunkingOptions(fixed_analysis_chunks=chunks), location_rows=10)
        with Session(self.engine) as session:
            portfolio = Portfolio(name="benchmark")
            session.add(portfolio)
            session.flush()
            analysis = Analysis(name=f"{chunks} chunks", portfolio_id=portfolio.id, status=before)
            session.add(analysis)
            session.flush()
            locked = lock_analysis(session, analysis.id) or analysis
            run = request_run(session, locked, RunRequest(kind, "V2", self.queue, RunInputs(), facts, None))
            session.commit()
            return run.id

    def wait(self, run_id: int, within: float = 900.0) -> None:
        """Wait until all sub-tasks of the run are over. Raises RunFailed if it has not completed within so many s."""
        deadline = time.monotonic() + within
        state = None
        while state != RunState.COMPLETED:
            if state in (RunState.FAILED, RunState.CANCELLED) or time.monotonic() > deadline:
                raise RunFailed(f"run {run_id} is {state}")
            time.sleep(POLL_SECONDS)
            with self.engine.connect() as connection:
                state = connection.scalar(select(Run.state).where(Run.id == run_id))

    def seconds(self, chunks: int) -> tuple[int, float]:
        """Execute a whole plan. Returns the run, and the seconds from the commit of its request to its end."""
        run_id = self.request(chunks)
        began = time.perf_counter()
        self.wait(run_id)
        return run_id, time.perf_counter() - began


@contextmanager
def full_platform(places: Places, slots: int) -> Iterator[PlatformUnderTest]:
    """Every service, and one worker with so many slots."""
    surroundings = _surroundings(places, "lossline", VHOST)
    model = noop_model(places.layout.home / "model")
    services = [
        *(_with_health(places, surroundings, name) for name in (CONTROLLER, "worker-monitor")),
        _api(places, surroundings),
        _worker(places, surroundings, model, slots),
    ]
    with _running(surroundings, services) as (engine, pids):
        yield PlatformUnderTest(engine, model, pids, f"{model.name}-v2")


@contextmanager
def controller_alone(places: Places, vhost: str, queue: str) -> Iterator[PlatformUnderTest]:
    """One task controller, in a database and a virtual host of its own, and no worker."""
    surroundings = _surroundings(places, vhost, vhost)
    with _running(surroundings, [_with_health(places, surroundings, CONTROLLER)]) as (engine, pids):
        yield PlatformUnderTest(engine, noop_model(places.layout.home / "model"), pids, queue)


@contextmanager
def controller_with_websocket(places: Places, vhost: str, queue: str) -> Iterator[tuple[PlatformUnderTest, str, str]]:
    """One task controller and one websocket server, the server's address, and a token that it takes."""
    surroundings, port = _surroundings(places, vhost, vhost), free_port()
    ready = http_ready(f"http://{HOST}:{port}/healthcheck/")
    services = [
        _with_health(places, surroundings, CONTROLLER),
        _service(places, WEBSOCKET, surroundings.of_websocket(HOST, port), ready),
    ]
    with _running(surroundings, services) as (engine, pids):
        ours = PlatformUnderTest(engine, noop_model(places.layout.home / "model"), pids, queue)
        yield ours, f"ws://{HOST}:{port}/ws/v2/queue-status/", _token(engine, surroundings.secret_key)


@contextmanager
def api_alone(places: Places, database: str) -> Iterator[tuple[Engine, int, int, str]]:
    """One API over a database of its own: the database, the port, the process that serves, and a token."""
    surroundings, port = _surroundings(places, database, VHOST), free_port()
    ready = http_ready(f"http://{HOST}:{port}/healthcheck/")
    with _running(surroundings, [_service(places, "api", surroundings.of_api(HOST, port), ready)]) as (engine, pids):
        serving = family(pids["api"])[-1]
        yield engine, port, serving, _token(engine, surroundings.secret_key)


def _token(engine: Engine, key: str) -> str:
    with Session(engine) as session, session.begin():
        user = User(username="benchmark", is_superuser=True)
        session.add(user)
        session.flush()
        return tokens.issue(key, tokens.ACCESS, tokens.Owner(user.id), timedelta(hours=1), datetime.now(UTC))


def noop_model(directory: Path, name: str = "Noop") -> ModelDirectory:
    """A model directory that a worker can start with; its steps never read it."""
    (directory / "meta-data").mkdir(parents=True, exist_ok=True)
    identity = {"model_supplier_id": "Lossline", "model_name_id": name, "model_version_id": "1"}
    (directory / "oasislmf.json").write_text("{}", encoding="utf-8")
    settings = directory / "meta-data" / "model_settings.json"
    settings.write_text(json.dumps({**identity, "model_settings": {}, "lookup_settings": {}}), encoding="utf-8")
    return read_model_directory(directory)


@contextmanager
def _running(surroundings: Surroundings, services: list[Service]) -> Iterator[tuple[Engine, Mapping[str, int]]]:
    upgrade(make_url(surroundings.database))
    engine = open_engine(surroundings.database, name="lossline-benchmark")
    try:
        with ProcessTree(stop_order=(WORKER,)) as tree:
            tree.start(*services)
            yield engine, tree.pids()
    finally:
        engine.dispose()


def _surroundings(places: Places, database: str, vhost: str) -> Surroundings:
    return Surroundings(
        database=places.database(database),
        broker=places.broker(vhost),
        objects=places.layout.objects,
        secret_key="a benchmark of this machine, for this machine",  # noqa: S106 - listens on the loopback, for minutes
        kernel_cache=places.layout.cache,
        keep=dict(os.environ),
    )


def _with_health(places: Places, surroundings: Surroundings, name: str) -> Service:
    port = free_port()
    variable = f"OASIS_{name.replace('-', '_').upper()}_HEALTH_PORT"
    environ = surroundings.with_database() | {variable: str(port)}
    return _service(places, name, environ, ready_at(port))


def _api(places: Places, surroundings: Surroundings) -> Service:
    port = free_port()
    return _service(places, "api", surroundings.of_api(HOST, port), http_ready(f"http://{HOST}:{port}/healthcheck/"))


def _worker(places: Places, surroundings: Surroundings, model: ModelDirectory, slots: int) -> Service:
    port = free_port()
    run = places.layout.run
    environ = surroundings.of_worker(model, slots, run / WORKER, run / f"{WORKER}.id")
    environ |= {"OASIS_WORKER_HEALTH_PORT": str(port), "LOSSLINE_STEPS": "benchmarks.noop_steps"}
    return _service(places, WORKER, environ, ready_at(port), group=WORKER)


def _service(
    places: Places, name: str, environ: Mapping[str, str], ready: Callable[[], bool], group: str = ""
) -> Service:
    return Service(
        name=name,
        argv=(sys.executable, "-m", f"services.{name.replace('-', '_')}"),
        log=places.layout.logs / f"{name}.log",
        env=environ,
        cwd=CHECKOUT,
        group=group,
        ready=ready,
    )
