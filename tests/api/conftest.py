"""A database per test, files in a directory, and the application on top."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Engine, update
from sqlalchemy.orm import Session

from services.api.app import create_app
from services.api.auth.accounts import ensure_administrator
from services.api.dependencies import Dependencies
from services.api.settings import Administrator, ApiSettings, AuthSettings
from shared.database.engine import open_engine
from shared.database.resources import Analysis, File, User
from shared.object_store import DirectorySettings, ObjectStoreSettings, open_object_store
from tests.api.api_client import Api
from tests.api.routes_once import routes_compiled_once
from tests.fakes.database import DatabaseServer
from tests.fakes.passwords import quick_hash

AUTH = AuthSettings(signing_key="a key of the tests", administrator=Administrator("admin", "password"))


@pytest.fixture(scope="session", autouse=True)
def _routes_compiled_once() -> Iterator[None]:
    with routes_compiled_once():
        yield


@pytest.fixture(scope="session")
def accounts(server: DatabaseServer) -> Iterator[URL]:
    """A database with an administrator and an ordinary user."""
    with server.database() as url:
        engine = open_engine(url, name="accounts")
        with Session(engine) as session, session.begin():
            session.add(User(username="admin", password_hash=quick_hash("password")))
            session.flush()
            ensure_administrator(session, AUTH)
            session.add(User(username="user", password_hash=quick_hash("secret")))
        engine.dispose()
        yield url


@pytest.fixture
def engine(server: DatabaseServer, accounts: URL) -> Iterator[Engine]:
    with server.copy_of(accounts) as url:
        opened = open_engine(url, name="tests", pool_size=10)
        yield opened
        opened.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


@pytest.fixture
def settings(engine: Engine, tmp_path: Path) -> ApiSettings:
    return ApiSettings(
        database=engine.url,
        store=ObjectStoreSettings(DirectorySettings(tmp_path / "store")),
        broker="amqp://nobody@127.0.0.1:1/",
        auth=AUTH,
    )


@pytest.fixture
def dependencies(engine: Engine, settings: ApiSettings) -> Iterator[Dependencies]:
    (settings.store.backend.root).mkdir()  # type: ignore[union-attr]
    with open_object_store(settings.store) as store:
        yield Dependencies(settings, engine, store, check_broker=lambda: None)


@pytest.fixture
def api(dependencies: Dependencies) -> Api:
    """A client of the administrator."""
    return Api(create_app(dependencies)).login("admin", "password")


@pytest.fixture
def user_api(api: Api) -> Api:
    """A client of an ordinary user."""
    return Api(api.app).login("user", "secret")


@pytest.fixture
def api_with(dependencies: Dependencies) -> Callable[..., Api]:
    """Make a client of an application with other settings or dependencies; not logged in."""

    def make(**changes: object) -> Api:
        changed = {name: value for name, value in changes.items() if hasattr(dependencies, name)}
        rest = {name: value for name, value in changes.items() if name not in changed}
        settings = replace(dependencies.settings, **rest)  # type: ignore[arg-type]
        return Api(create_app(replace(dependencies, **{"settings": settings, **changed})))  # type: ignore[arg-type]

    return make


@pytest.fixture
def put_in(session: Session) -> Callable[..., None]:
    """Put an analysis into a status, as the services after the API would."""

    def put(analysis: Any, status: str, **columns: Any) -> None:
        query = update(Analysis).where(Analysis.id == analysis["id"]).values(status=status, **columns)
        session.execute(query)
        session.commit()

    return put


@pytest.fixture
def input_file(session: Session, put_in: Callable[..., None]) -> Callable[[Any, str], None]:
    """Make an analysis READY (or another status) with an input file."""

    def make(analysis: Any, status: str = "READY") -> None:
        file = File(key=f"inputs-{analysis['id']}", filename="inputs.tar.gz", content_type="application/gzip", size=1)
        session.add(file)
        session.flush()
        put_in(analysis, status, input_file_id=file.id)

    return make
