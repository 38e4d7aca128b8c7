"""A database and a store per test, and an analysis whose earlier sub-tasks have been done."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine

from services.worker_monitor.recording import Recorder
from shared.core.retries import RetryPolicy
from shared.database.engine import open_engine
from shared.object_store.directory import DirectoryStore
from tests.fakes.database import DatabaseServer, database_server
from tests.worker_monitor.history import WORKER, History


@pytest.fixture(scope="session")
def server() -> Iterator[DatabaseServer]:
    """One PostgreSQL for all tests of this folder."""
    with database_server() as running:
        yield running


@pytest.fixture
def database(server: DatabaseServer) -> Iterator[URL]:
    """A database of the test's own."""
    with server.database() as url:
        yield url


@pytest.fixture
def engine(database: URL) -> Iterator[Engine]:
    """Connections to the test's database."""
    opened = open_engine(database, name="tests", pool_size=8)
    yield opened
    opened.dispose()


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Files in a directory."""
    root = tmp_path / "objects"
    root.mkdir()
    return DirectoryStore(root)


@pytest.fixture
def history(engine: Engine, store: DirectoryStore) -> History:
    """A superuser, a model, and an analysis with settings."""
    return History(engine, store)


@pytest.fixture
def recorder(engine: Engine, store: DirectoryStore) -> Recorder:
    """What is tested, over the real store."""
    return Recorder(engine, store, RetryPolicy(), WORKER)
