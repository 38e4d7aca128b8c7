"""The API over a real S3 server, whose clients see it at another address than the API does."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.api.app import create_app
from services.api.auth.accounts import ensure_administrator
from services.api.dependencies import Dependencies
from services.api.presigned_settings import Presigned, PresignedSettings
from services.api.settings import Administrator, ApiSettings, AuthSettings
from shared.database.resources import User
from shared.object_store import ObjectStoreSettings, S3Settings
from shared.object_store.s3 import S3Store
from tests.api.api_client import Api
from tests.api.routes_once import routes_compiled_once
from tests.fakes.passwords import quick_hash

LIMIT = 64 * 1024
MakeApi = Callable[..., Api]


@pytest.fixture(scope="session", autouse=True)
def _routes_compiled_once() -> Iterator[None]:
    with routes_compiled_once():
        yield


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """With an administrator whose password is quickly verified."""
    with Session(engine) as session, session.begin():
        session.add(User(username="admin", password_hash=quick_hash("password")))
    return engine


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


@pytest.fixture
def external(s3_settings: S3Settings) -> str:
    """The server under another name: a signature for one address is not good for another."""
    return s3_settings.endpoint_url.replace("127.0.0.1", "localhost")


@pytest.fixture
def seen_store(s3_settings: S3Settings, external: str) -> Iterator[S3Store]:
    with S3Store(replace(s3_settings, external_endpoint_url=external)) as store:
        store.check()
        yield store
        for found in store.list(""):
            store.delete(found.key)


@pytest.fixture
def make_api(engine: Engine, seen_store: S3Store) -> MakeApi:
    """A client of the administrator, by what is set about presigned requests."""

    def make(*, parquet_storage: bool = False, **presigned: object) -> Api:
        settings = ApiSettings(
            database=engine.url,
            store=ObjectStoreSettings(seen_store._settings),
            broker="amqp://nobody@127.0.0.1:1/",
            auth=AuthSettings(signing_key="a key of the tests", administrator=Administrator("admin", "password")),
            upload_limit=LIMIT,
            parquet_storage=parquet_storage,
            presigned=PresignedSettings(**presigned),  # type: ignore[arg-type]
        )
        with Session(engine) as session, session.begin():
            ensure_administrator(session, settings.auth)
        dependencies = Dependencies(settings, engine, seen_store, check_broker=lambda: None)
        return Api(create_app(dependencies)).login("admin", "password")

    return make


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    return make_api(downloads=Presigned.ASKED, uploads=True)
