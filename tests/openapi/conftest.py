"""An application with something of everything in it; every operation gets a copy of its database."""

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import URL
from sqlalchemy.orm import Session

from services.api.app import create_app
from services.api.auth.accounts import ensure_administrator
from services.api.dependencies import Dependencies
from services.api.settings import Administrator, ApiSettings, AuthSettings
from shared.core.plan import Phase
from shared.database.engine import open_engine
from shared.object_store import DirectorySettings, ObjectStore, ObjectStoreSettings, open_object_store
from tests.api.api_client import ACCOUNTS, ANALYSIS_SETTINGS, MODEL_SETTINGS, Api
from tests.api.ended_run import ended_run, record
from tests.api.routes_once import routes_compiled_once
from tests.fakes.database import DatabaseServer


@pytest.fixture(scope="session", autouse=True)
def _routes_compiled_once() -> Iterator[None]:
    with routes_compiled_once():
        yield


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def store(place: Path) -> Iterator[ObjectStore]:
    with open_object_store(ObjectStoreSettings(DirectorySettings(place))) as opened:
        yield opened


@dataclass(frozen=True)
class Filled:
    """A database, and the headers of its administrator."""

    url: URL
    headers: dict[str, str]


@pytest.fixture(scope="session")
def filled(server: DatabaseServer, place: Path, store: ObjectStore) -> Iterator[Filled]:
    """Two of everything: ids 1 and 2. Nobody may be connected while it is copied."""
    with server.database() as url:
        with ExitStack() as resources:
            app = _application(url, place, store, resources)
            api = Api(app).login("admin", "password")
            with Session(app.config["DEPENDENCIES"].engine) as session:
                _fill(api, session, store)
        yield Filled(url, api.headers)


class Applications:
    """The application, over one database for what reads and changes, and over a fresh copy for each other operation."""

    def __init__(self, make: Callable[[ExitStack], Flask]) -> None:
        self._make = make
        self._open: dict[str, tuple[Flask, ExitStack]] = {}

    def of(self, method: str, label: str) -> Flask:
        """The application for the requests of one operation."""
        name = label if method in ("POST", "DELETE") else "shared"
        for other in self._open.keys() - {name, "shared"}:
            self._open.pop(other)[1].close()
        if name not in self._open:
            resources = ExitStack()
            self._open[name] = (self._make(resources), resources)
        return self._open[name][0]

    def close(self) -> None:
        """Drop the databases."""
        while self._open:
            self._open.popitem()[1][1].close()


@pytest.fixture(scope="session")
def apps(server: DatabaseServer, filled: Filled, place: Path, store: ObjectStore) -> Iterator[Applications]:
    def make(resources: ExitStack) -> Flask:
        return _application(resources.enter_context(server.copy_of(filled.url)), place, store, resources)

    applications = Applications(make)
    yield applications
    applications.close()


def _application(url: URL, place: Path, store: ObjectStore, resources: ExitStack) -> Flask:
    made = ApiSettings(
        database=url,
        store=ObjectStoreSettings(DirectorySettings(place)),
        broker="amqp://nobody@127.0.0.1:1/",
        auth=AuthSettings(signing_key="a key of the tests", administrator=Administrator("admin", "password")),
        follow_for=0.1,
    )
    engine = open_engine(url, name="tests", pool_size=4)
    resources.callback(engine.dispose)
    with Session(engine) as session, session.begin():
        ensure_administrator(session, made.auth)
    dependencies = Dependencies(made, engine, store, check_broker=lambda: None)
    app = create_app(dependencies)
    app.config["DEPENDENCIES"] = dependencies
    return app


def _fill(api: Api, session: Session, store: ObjectStore) -> None:
    run = ended_run(api, session, store)
    run.complete_before("generate-losses-output")
    run.stop("FAILED", Phase.LOSSES)
    record(run, "output_file", _archive())
    record(run, "input_file", _archive())
    api.analysis(model=api.model("Second", settings=MODEL_SETTINGS), settings=ANALYSIS_SETTINGS)
    for number in (1, 2):
        for name in ("accounts_file", "reinsurance_info_file", "reinsurance_scope_file"):
            api.upload(f"portfolios/{number}/{name}/", ACCOUNTS)
        api.post(f"portfolios/{number}/reporting_currency/", {"reporting_currency": "EUR"})
        api.create("data_files/", {"file_description": "a file"})
        api.upload(f"data_files/{number}/content/", b"bytes", "a.bin", "application/octet-stream")
        api.post(f"models/{number}/setting_templates/", {"name": "a template", "analysis_id": 1})


def _archive() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"), io.BytesIO())
    return content.getvalue()
