"""Uploads that lie about their type, length or name: each a clear 4xx, and nothing is changed or left behind."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.api.dependencies import Dependencies
from shared.database.accounts import AuditEntry
from shared.database.resources import File
from tests.api.api_client import ANALYSIS_SETTINGS, BOUNDARY, LOCATIONS, Api

LOCATION = LOCATIONS.encode()


def _tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        info = tarfile.TarInfo("location.csv")
        info.size = len(LOCATION)
        archive.addfile(info, io.BytesIO(LOCATION))
    return target.getvalue()


def _zip(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, LOCATION)
    return target.getvalue()


def _parquet() -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table({"LocNumber": [1, 2, 3]}), target)
    return target.getvalue()


@pytest.fixture
def portfolio(api: Api) -> str:
    return f"portfolios/{api.portfolio()['id']}/"


@pytest.fixture
def unchanged(api: Api, portfolio: str, dependencies: Dependencies, session: Session) -> Iterator[None]:
    """What is there before the test is there after it, and nothing else."""

    def state() -> Any:
        session.rollback()
        counts = [session.scalar(select(func.count()).select_from(table)) for table in (File, AuditEntry)]
        keys = [each.key for each in dependencies.store.list("")]
        return counts, keys, api.get(portfolio).json

    before = state()
    yield
    assert state() == before


@pytest.mark.parametrize(
    ("filename", "content_type", "content"),
    [
        ("a.csv", "text/csv", LOCATION),
        ("a.csv", "text/csv", b"\xef\xbb\xbf" + LOCATION),
        ("a.csv", "text/csv", "Name\nMünchen\n".encode("latin-1")),
        ("a.csv.gz", "application/gzip", gzip.compress(LOCATION, mtime=0)),
        ("a.csv.bz2", "application/x-bzip2", bz2.compress(LOCATION)),
        ("a.zip", "application/zip", _zip("location.csv")),
        ("a.parquet", "application/octet-stream", _parquet()),
        ("a.pq", "application/octet-stream", _parquet()),
        ("a.json", "application/json", json.dumps([{"LocNumber": 1}]).encode()),
        ("a.csv.xz", "application/octet-stream", lzma.compress(LOCATION)),
    ],
)
@pytest.mark.parametrize("field", ["location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file"])
def test_every_accepted_type_comes_back_as_it_was(
    api: Api, portfolio: str, field: str, filename: str, content_type: str, content: bytes
) -> None:
    assert api.upload(f"{portfolio}{field}/", content, filename, content_type).status_code == 200

    answer = api.get(f"{portfolio}{field}/")
    assert (answer.data, answer.headers["Content-Type"]) == (content, content_type)


@pytest.mark.parametrize(
    ("filename", "content_type", "content", "text"),
    [
        ("a.csv", "text/csv", gzip.compress(LOCATION, mtime=0), "The content of the file is not text."),
        ("a.csv", "text/csv", _parquet(), "The content of the file is not text."),
        ("a.csv", "text/csv", b"A\0B\n", "The content of the file is not text."),
        ("a.parquet", "application/octet-stream", LOCATION, "The content of the file is not parquet."),
        ("a.parquet", "application/octet-stream", _parquet()[:-1], "The content of the file is not parquet."),
        ("a.csv.gz", "application/gzip", LOCATION, "The content of the file is not gzip."),
        ("a.zip", "application/zip", LOCATION, "The content of the file is not zip."),
        ("a.bz2", "application/x-bzip2", LOCATION, "The content of the file is not bzip2."),
        ("a.json", "application/json", LOCATION, "The content of the file is not JSON."),
        ("a.zip", "application/zip", b"PK\x03\x04 and no more", "The file cannot be decompressed: "),
        ("a.gz", "application/gzip", b"\x1f\x8b and no more", "The file cannot be decompressed: "),
        ("a.tar", "application/octet-stream", _tar(), "A tar archive cannot be read as exposure"),
        (
            "a.7z",
            "application/octet-stream",
            b"7z\xbc\xaf'\x1c\0\4",
            "An archive cannot be read as exposure",
        ),
        ("data", "application/octet-stream", _zip("a.csv"), "An archive cannot be read as exposure"),
        ("a.tar.gz", "application/gzip", gzip.compress(_tar(), mtime=0), "A tar archive cannot be read as exposure"),
        ("a.tar.bz2", "application/x-bzip2", bz2.compress(_tar()), "A tar archive cannot be read as exposure"),
        ("a.zip", "application/zip", _zip("a.csv", "b.csv"), "An archive must hold one file to be read as exposure"),
        ("a.zip", "application/zip", _zip(), "An archive must hold one file to be read as exposure"),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_content_that_is_not_what_it_says_is_refused(
    api: Api, portfolio: str, filename: str, content_type: str, content: bytes, text: str
) -> None:
    for field in ("location_file", "accounts_file"):
        answer = api.upload(f"{portfolio}{field}/", content, filename, content_type)

        assert answer.status_code == 400
        assert (answer.json or {})["file"][0].startswith(text)


@pytest.mark.parametrize(
    ("filename", "text"),
    [
        ("../../etc/homes.csv", "The filename must be a name, not a path."),
        ("..\\\\homes.csv", "The filename must be a name, not a path."),
        ("/etc/passwd", "The filename must be a name, not a path."),
        ("C:\\\\homes.csv", "The filename must be a name, not a path."),
        ("..", "The filename must be a name, not a path."),
        ("a\u2215b.csv", "The filename must be a name, not a path."),
        ("\uff0e\uff0e\uff0fb.csv", "The filename must be a name, not a path."),
        ("homes\u2024csv", "The filename holds characters that look like others."),
        ("homes.\u0441sv", "The filename holds characters that look like others."),
        ("homes\u202evsc.exe", "The filename holds characters that are not allowed."),
        ("ho\0mes.csv", "The filename holds characters that are not allowed."),
        ("ho\x07mes.csv", "The filename holds characters that are not allowed."),
        ("x" * 10_240 + ".csv", "Ensure this filename has at most 255 characters (it has 10244)."),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_names_that_are_more_or_less_than_a_name_are_refused(
    api: Api, portfolio: str, filename: str, text: str
) -> None:
    answer = api.upload(f"{portfolio}accounts_file/", LOCATION, filename)

    assert (answer.status_code, answer.json) == (400, {"file": [text]})


@pytest.mark.parametrize(
    "filename", ["../../etc/homes.json", "homes\u2024json", "ho\0mes.json", "x" * 10_240 + ".json"]
)
def test_every_upload_minds_its_name(api: Api, portfolio: str, dependencies: Dependencies, filename: str) -> None:
    data_file, analysis = api.create("data_files/", {"file_description": "rates"}), api.analysis(api.portfolio())
    before = [each.key for each in dependencies.store.list("")]

    uploads = (f"{portfolio}currency_conversion_json/", f"analyses/{analysis['id']}/settings_file/")
    for path in (*uploads, f"data_files/{data_file['id']}/content/"):
        answer = api.upload(path, b"{}", filename, "application/json")
        assert (answer.status_code, list(answer.json or {})) == (400, ["file"]), path
    for name in ("mapping_file", "transform_file"):
        sent = {"mapping_file": (io.BytesIO(b"a"), "a.yaml"), "transform_file": (io.BytesIO(b"a"), "a.csv")}
        form = sent | {name: (io.BytesIO(b"a"), filename), "file_type": "location"}
        answer = api.post(f"{portfolio}exposure_transform/", data=form)
        assert (answer.status_code, list(answer.json or {})) == (400, [name])

    assert [each.key for each in dependencies.store.list("")] == before


# The parser of multipart bodies leaves the temporary file of a part that never ends to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("unchanged")
def test_a_body_that_ends_too_early_is_refused(api: Api, portfolio: str) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n'
    body = f"{head}Content-Type: text/csv\r\n\r\nA,B\n1,".encode()

    answer = api.post(f"{portfolio}accounts_file/", data=body, content_type=f"multipart/form-data; boundary={BOUNDARY}")

    assert answer.status_code == 400


@pytest.mark.usefixtures("unchanged")
def test_a_file_that_is_larger_than_the_limit_is_413(api: Api, api_with: Callable[..., Api], portfolio: str) -> None:
    limited = api_with(upload_limit=1000)
    limited.headers = api.headers

    for size in (1001, 200_000):
        answer = limited.upload(f"{portfolio}accounts_file/", b"x" * size)
        assert answer.status_code == 413
        assert "bytes are taken here" in (answer.json or {})["detail"]
        rates = limited.upload(f"{portfolio}currency_conversion_json/", b"x" * size, "a.csv")
        assert rates.status_code == 413


def test_a_file_of_the_limit_is_taken_and_larger_json_too(
    api: Api, api_with: Callable[..., Api], portfolio: str
) -> None:
    limited = api_with(upload_limit=100_000, json_limit=1024)
    limited.headers = api.headers

    assert limited.upload(f"{portfolio}accounts_file/", b"x" * 100_000).status_code == 200
    assert limited.post("portfolios/", {"name": "x" * 2000}).status_code == 413
    assert limited.post("portfolios/", data={"name": "x" * 2000}).status_code == 413


@pytest.mark.parametrize("content", [b"{", b"[" * 1000 + b"]" * 1000, b"\xff\xfe", b"NaN", LOCATION])
@pytest.mark.usefixtures("unchanged")
def test_settings_and_rates_that_are_no_json_are_refused(api: Api, portfolio: str, content: bytes) -> None:
    rates = api.upload(f"{portfolio}currency_conversion_json/", content, "a.json", "application/json")

    assert rates.status_code == 400
    assert (rates.json or {})["file"][0].startswith("JSON parse error - ")


@pytest.mark.parametrize("levels", [101, 1000, 5000])
def test_json_that_is_nested_a_thousand_deep_is_refused(api: Api, levels: int, dependencies: Dependencies) -> None:
    portfolio, model = api.portfolio(), api.model()
    analysis = api.analysis(portfolio, model)
    before = list(dependencies.store.list(""))
    arrays = f'{{"name": "a", "settings": {"[" * levels}{"]" * levels}}}'
    nested = '{"a":' * levels
    objects = f'{{"name": "a", "settings": {nested}1{"}" * levels}}}'
    paths = ("portfolios/", "models/", "analyses/", f"analyses/{analysis['id']}/settings/")
    for path in (*paths, f"models/{model['id']}/settings/", "/access_token/"):
        for text in (arrays, objects):
            answer = api.post(path, data=text, content_type="application/json")
            assert (answer.status_code, set(answer.json or {})) == (400, {"detail"}), path

    assert list(dependencies.store.list("")) == before
    assert len(api.get("analyses/").json or []) == len(api.get("models/").json or []) == 1


@pytest.mark.parametrize("number", ['"4"', '"x"', "1.5", "true", "[1]", "1e999", "1" * 5000, '"１"', '"1_0"', "-1"])
def test_numbers_that_are_none_or_texts_are_refused(api: Api, number: str) -> None:
    analysis = api.analysis()
    url = f"analyses/{analysis['id']}/"
    chunking = f"{url}chunking_configuration/"

    refused = api.post(chunking, data=f'{{"fixed_lookup_chunks": {number}}}', content_type="application/json")
    if number != '"4"':
        # A priority may be text, as in the reference.
        body = f'{{"priority": {number}}}'
        answer = api.client.patch(f"/v2/{url}", data=body, content_type="application/json", headers=api.headers)
        assert answer.status_code == 400, answer.text
    assert refused.status_code == 400
    assert (api.get(chunking).json or {})["fixed_lookup_chunks"] is None
    assert (api.get(url).json or {})["priority"] == 4


@pytest.mark.parametrize("pk", ["9" * 19, "9" * 5000, "１", "1_0", "%00"])
def test_ids_that_nothing_can_have_are_not_found(api: Api, pk: str) -> None:
    assert api.get(f"analyses/{pk}/").status_code == 404
    assert api.get(f"analyses/?model={pk}").status_code == 400
    assert api.get(f"models/{pk}/setting_templates/{pk}/").status_code == 404
    body = {"name": "a", "portfolio": pk, "settings": ANALYSIS_SETTINGS}
    assert api.post("analyses/", body).status_code == 400
