"""A database and a store per test, and an analysis whose earlier sub-tasks have been done."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from services.worker_monitor.recording import Recorder
from shared.core.retries import RetryPolicy
from shared.object_store.directory import DirectoryStore
from tests.worker_monitor.history import WORKER, History


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
