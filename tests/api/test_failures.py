"""What happens when something below the API fails: nothing half done, and an answer that says so."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.api.app import create_app
from services.api.dependencies import Dependencies
from services.api.views import portfolios
from shared.database.engine import open_engine
from shared.database.execution import Removal
from shared.database.resources import File, Portfolio
from shared.object_store import ObjectInfo, ObjectStoreUnavailable
from shared.object_store.directory import DirectoryStore
from tests.api.api_client import LOCATIONS, Api

TRY_AGAIN = {"detail": "A service that this one depends on does not answer. Try again later."}


class BrokenStore(DirectoryStore):
    """A store that has gone away."""

    def put(self, *_: Any, **__: Any) -> ObjectInfo:
        raise ObjectStoreUnavailable

    def open(self, *_: Any, **__: Any) -> BinaryIO:
        raise ObjectStoreUnavailable


@pytest.fixture
def broken_store(api: Api, api_with: Callable[..., Api], tmp_path: Any) -> Api:
    broken = api_with(store=BrokenStore(tmp_path / "store"))
    broken.headers = api.headers
    return broken


def test_without_a_store_uploads_are_503_and_leave_no_row(api: Api, broken_store: Api, session: Session) -> None:
    portfolio = api.portfolio(None)
    url = f"portfolios/{portfolio['id']}/location_file/"

    answer = broken_store.upload(url, LOCATIONS)

    assert (answer.status_code, answer.json) == (503, TRY_AGAIN | {"request_id": answer.headers["X-Request-Id"]})
    assert session.scalars(select(File)).all() == []
    assert api.get(url).status_code == 404


def test_an_object_that_never_got_its_row_is_noted_for_removal(api: Api, broken_store: Api, session: Session) -> None:
    portfolio = api.portfolio(None)

    broken_store.upload(f"portfolios/{portfolio['id']}/location_file/", LOCATIONS)

    (removal,) = session.scalars(select(Removal))
    assert removal.prefix.startswith("files/")
    assert removal.not_before > datetime.now(UTC) + timedelta(hours=12), "the request may still be under way"


def test_an_object_that_has_its_row_is_not_removed(api: Api, session: Session) -> None:
    api.portfolio()

    assert session.scalars(select(File)).all()
    assert session.scalars(select(Removal)).all() == []


def test_without_a_store_downloads_are_503(api: Api, broken_store: Api) -> None:
    portfolio = api.portfolio()

    assert broken_store.get(f"portfolios/{portfolio['id']}/location_file/").status_code == 503


def test_without_a_database_everything_but_health_is_503(api: Api, dependencies: Dependencies) -> None:
    url = dependencies.engine.url.set(database="there_is_none")
    engine = open_engine(url, name="tests")
    broken = Api(create_app(Dependencies(dependencies.settings, engine, dependencies.store, lambda: None)))
    broken.headers = api.headers

    answer = broken.get("models/")
    connections = broken.get("/healthcheck_connections/")

    assert (answer.status_code, answer.json) == (503, TRY_AGAIN | {"request_id": answer.headers["X-Request-Id"]})
    assert (connections.status_code, connections.json) == (503, {"status": "ERROR - db down"})
    assert broken.get("/healthcheck/").status_code == 200
    engine.dispose()


def test_a_commit_that_fails_takes_its_objects_along(api: Api, dependencies: Dependencies, session: Session) -> None:
    portfolio = api.portfolio(None)

    def note_files(session: Session, *_: object) -> None:
        session.info["has_files"] = session.info.get("has_files") or any(isinstance(each, File) for each in session.new)

    def refuse(session: Session) -> None:
        if session.info.get("has_files"):
            raise IntegrityError("COMMIT", {}, Exception("refused by the test"))

    listeners = {"before_flush": note_files, "before_commit": refuse}
    for name, listener in listeners.items():
        event.listen(Session, name, listener)
    try:
        answer = api.upload(f"portfolios/{portfolio['id']}/location_file/", LOCATIONS)
    finally:
        for name, listener in listeners.items():
            event.remove(Session, name, listener)

    assert answer.status_code == 500
    assert list(dependencies.store.list("")) == []
    assert session.scalars(select(File)).all() == []


def test_a_bug_is_500_and_changes_nothing(api: Api, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(portfolios, "portfolio_body", fail)

    answer = api.post("portfolios/", {"name": "a"})

    assert answer.status_code == 500
    assert answer.json == {
        "detail": "The request failed inside the server; its log says why.",
        "request_id": answer.headers["X-Request-Id"],
    }
    assert "a bug" not in answer.text
    assert session.scalars(select(Portfolio)).all() == []


def test_a_refused_request_leaves_no_object(api: Api, dependencies: Dependencies) -> None:
    body = {"supplier_id": "S", "model_id": "M", "version_id": "V", "data_files": [9]}

    assert api.post("models/", body).status_code == 400
    assert list(dependencies.store.list("")) == []


def test_a_stream_that_breaks_leaves_nothing(dependencies: Dependencies) -> None:
    class Breaking(io.RawIOBase):
        def readinto(self, _buffer: Any) -> int:
            raise OSError("the client has gone")

        def readable(self) -> bool:
            return True

    with pytest.raises(OSError, match="gone"):
        dependencies.store.put("files/x", io.BufferedReader(Breaking()))
    assert list(dependencies.store.list("")) == []
