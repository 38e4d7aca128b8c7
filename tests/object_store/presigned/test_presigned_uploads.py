"""Exposure that is put straight into the store, and what is then made of it."""

import gzip
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event, Thread
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from services.worker_monitor.retention import Retention
from services.worker_monitor.run_sweeper import RunSweeper
from shared.database.execution import Removal
from shared.database.presigned_uploads import PresignedUpload
from shared.database.resources import File
from shared.object_store.s3 import S3Store
from tests.api.api_client import LOCATIONS, Api
from tests.api.members import member
from tests.object_store.presigned.conftest import LIMIT, MakeApi

pytestmark = pytest.mark.integration

CSV = {"filename": "location.csv", "content_type": "text/csv"}


@pytest.fixture
def path(api: Api) -> str:
    return f"portfolios/{api.portfolio(None)['id']}/location_file/"


def begin(api: Api, path: str, filename: str = "location.csv", content_type: str = "text/csv") -> Any:
    answer = api.post(f"{path}presigned/", {"filename": filename, "content_type": content_type})
    assert answer.status_code == 201, answer.text
    return answer.json


def send(form: Any, content: bytes = LOCATIONS.encode(), **changes: str) -> int:
    fields = {**form["form"], **changes}
    return requests.post(form["url"], data=fields, files={form["file_field"]: content}, timeout=30).status_code


def complete(api: Api, form: Any) -> TestResponse:
    return api.post(form["complete"].removeprefix("http://localhost"))


def files_of(store: S3Store, session: Session) -> tuple[int | None, int]:
    """Rows of files, and their objects."""
    session.rollback()
    return session.scalar(select(func.count()).select_from(File)), len(list(store.list("files/")))


def test_what_was_put_into_the_store_becomes_the_file_of_the_portfolio(
    api: Api, path: str, external: str, session: Session, seen_store: S3Store
) -> None:
    form = begin(api, path)

    assert form["url"].startswith(f"{external}/")
    assert form["largest"] == LIMIT
    assert send(form) == 204
    assert api.get(path).status_code == 404
    answer = complete(api, form)

    assert answer.status_code == 200, answer.text
    assert answer.json["filename"] == "location.csv"
    download = api.get(path)
    assert (download.text, download.headers["Content-Type"]) == (LOCATIONS, "text/csv")
    file = session.scalars(select(File)).one()
    assert (file.rows, file.size, file.key.rsplit("/")[-1]) == (3, len(LOCATIONS), answer.json["file"])
    # The form's own object goes at once, and once more after the form has expired.
    [upload] = session.scalars(select(PresignedUpload))
    due = sorted(session.scalars(select(Removal.not_before).where(Removal.prefix == upload.key)))
    assert due[0] <= datetime.now(UTC)
    assert due[1] > upload.expires + timedelta(hours=12)
    assert {removal.prefix for removal in session.scalars(select(Removal))} == {upload.key}


def test_what_is_sent_after_the_completion_changes_nothing(api: Api, path: str) -> None:
    form = begin(api, path)
    send(form)
    complete(api, form)

    send(form, b"something,else\n1,2\n")

    assert api.get(path).text == LOCATIONS
    again = complete(api, form)
    assert (again.status_code, again.json) == (400, {"detail": "This upload has been completed already."})


def test_of_two_that_complete_at_the_same_time_one_is_refused(
    api: Api, path: str, session: Session, seen_store: S3Store
) -> None:
    form = begin(api, path)
    send(form)
    together, answers = Barrier(2), []

    def finish() -> None:
        client = Api(api.app)
        client.headers = api.headers
        together.wait()
        answers.append(complete(client, form).status_code)

    threads = [Thread(target=finish) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200, 400]
    assert files_of(seen_store, session) == (1, 1)


@pytest.mark.parametrize(
    ("filename", "content_type", "content", "complaint"),
    [
        ("location.csv", "text/csv", b"PAR1\x00\x01", "is not text"),
        ("location.parquet", "application/octet-stream", LOCATIONS.encode(), "is not parquet"),
        ("location.csv.gz", "application/gzip", LOCATIONS.encode(), "is not gzip"),
        ("location.zip", "application/zip", b"PK\x03\x04 but no more", "cannot be decompressed"),
    ],
)
def test_content_that_is_not_what_it_was_said_to_be_is_refused(
    api: Api,
    path: str,
    session: Session,
    seen_store: S3Store,
    filename: str,
    content_type: str,
    content: bytes,
    complaint: str,
) -> None:
    form = begin(api, path, filename, content_type)
    assert send(form, content) == 204

    answer = complete(api, form)

    assert answer.status_code == 400
    assert complaint in answer.json["file"][0]
    assert api.get(path).status_code == 404
    assert files_of(seen_store, session) == (0, 0)


def test_compressed_exposure_is_counted_in_the_store(api: Api, path: str, session: Session) -> None:
    form = begin(api, path, "location.csv.gz", "application/gzip")
    send(form, gzip.compress(LOCATIONS.encode(), mtime=0))

    assert complete(api, form).status_code == 200
    assert session.scalars(select(File.rows)).one() == 3


def test_the_store_takes_nothing_but_what_was_signed(api: Api, path: str, seen_store: S3Store) -> None:
    form = begin(api, path)

    refused: dict[str, Callable[[], int]] = {
        "another key": lambda: send(form, key=form["form"]["key"] + "x"),
        "another type": lambda: send(form, **{"Content-Type": "text/html"}),
        "another signature": lambda: send(form, **{"x-amz-signature": "0" * 64}),
        "too large": lambda: send(form, b"x" * (LIMIT + 1)),
        "empty": lambda: send(form, b""),
    }

    for what, attempt in refused.items():
        assert 400 <= attempt() < 500, what
    assert list(seen_store.list("")) == []
    assert complete(api, form).json == {"detail": "Nothing has been uploaded: send the form to the store first."}


def test_an_object_beyond_the_limit_is_refused_however_it_came_there(
    api: Api, path: str, session: Session, seen_store: S3Store
) -> None:
    form = begin(api, path)
    key = session.scalars(select(PresignedUpload.key)).one()
    seen_store.put(key, io.BytesIO(b"a,b\n" + b"1,2\n" * LIMIT))

    answer = complete(api, form)

    assert answer.status_code == 413
    assert files_of(seen_store, session) == (0, 0)


def test_an_expired_form_is_refused_by_the_store_and_later_by_us(
    make_api: MakeApi, session: Session, seen_store: S3Store
) -> None:
    api = make_api(uploads=True, good_for=timedelta(seconds=1))
    form = begin(api, f"portfolios/{api.portfolio(None)['id']}/location_file/")
    while datetime.now(UTC) <= session.scalars(select(PresignedUpload.expires)).one():
        session.rollback()

    assert send(form) == 403
    session.execute(update(PresignedUpload).values(expires=PresignedUpload.expires - timedelta(hours=12)))
    session.commit()
    assert complete(api, form).json == {"detail": "This upload has expired; ask for another one."}


def test_uploads_belong_to_one_file_of_one_portfolio_and_its_group(api: Api, path: str, session: Session) -> None:
    other = api.portfolio(None)
    form = begin(api, path)
    send(form)

    assert api.post(f"{path.replace('location', 'accounts')}presigned/{form['id']}/").status_code == 404
    assert api.post(f"portfolios/{other['id']}/location_file/presigned/{form['id']}/").status_code == 404
    assert api.post(f"{path}presigned/{form['id'] + 1}/").status_code == 404
    api.patch(path.removesuffix("location_file/"), {"groups": ["reds"]})
    stranger = member(api, session, "stranger", "blues")
    assert complete(stranger, form).status_code == 403
    assert stranger.post(f"{path}presigned/", CSV).status_code == 403
    assert complete(api, form).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "filename"),
        (CSV | {"filename": "../location.csv"}, "filename"),
        (CSV | {"filename": "location.parquet"}, "file"),
        (CSV | {"content_type": "text/html"}, "file"),
    ],
)
def test_a_form_is_only_given_for_what_would_be_taken(api: Api, path: str, body: Any, field: str) -> None:
    answer = api.post(f"{path}presigned/", body)

    assert answer.status_code == 400
    assert field in answer.json


def test_where_it_is_not_set_the_answer_names_the_settings(make_api: MakeApi) -> None:
    api = make_api()
    path = f"portfolios/{api.portfolio(None)['id']}/location_file/presigned/"

    for url in (path, f"{path}1/"):
        answer = api.post(url, CSV)
        assert answer.status_code == 404
        assert "OASIS_SERVER_PRESIGNED_UPLOADS" in answer.json["detail"]


def test_what_is_kept_as_parquet_is_so_however_it_came(
    make_api: MakeApi, session: Session, seen_store: S3Store
) -> None:
    api = make_api(uploads=True, parquet_storage=True)
    path = f"portfolios/{api.portfolio(None)['id']}/location_file/"
    form = begin(api, path)
    send(form)

    assert complete(api, form).json["filename"] == "location.csv.parquet"
    assert api.get(path).data.startswith(b"PAR1")
    assert files_of(seen_store, session) == (1, 1)


def test_what_is_never_completed_is_swept_when_its_form_has_long_expired(
    api: Api, path: str, session: Session, engine: Engine, seen_store: S3Store
) -> None:
    send(begin(api, path))
    sweeper = RunSweeper(engine, seen_store, Retention())

    sweeper.sweep(Event())
    assert len(list(seen_store.list("uploads/"))) == 1
    session.execute(update(Removal).values(not_before=Removal.not_before - timedelta(hours=26)))
    session.commit()
    sweeper.sweep(Event())

    assert list(seen_store.list("")) == []
