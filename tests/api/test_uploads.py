"""What may be uploaded, and what comes back: oasis_api.md section 1.6."""

import gc
import gzip
import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.execution import Run
from shared.database.resources import File, Portfolio
from tests.api.api_client import LOCATIONS, Api

EXPOSURE_TYPES = (
    "application/octet-stream, application/json, text/csv, application/gzip, application/zip, application/x-bzip2"
)


def parquet() -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table({"LocNumber": [1, 2, 3]}), target)
    return target.getvalue()


@pytest.fixture
def url(api: Api) -> str:
    return f"portfolios/{api.create('portfolios/', {'name': 'a'})['id']}/location_file/"


@pytest.mark.parametrize(
    ("filename", "content_type", "text"),
    [
        ("a.html", "text/html", f"File should be one of [{EXPOSURE_TYPES}]"),
        (
            "a.csv",
            "application/json",
            (
                "File extention 'csv' mismatched with request header 'Content-Type': 'application/json', "
                "should be set to 'text/csv'"
            ),
        ),
        (
            "a.PARQUET",
            "text/csv",
            (
                "File extention 'parquet' mismatched with request header 'Content-Type': 'text/csv', "
                "should be set to 'application/octet-stream'"
            ),
        ),
        ("x" * 252 + ".csv", "text/csv", "Ensure this filename has at most 255 characters (it has 256)."),
    ],
)
def test_wrong_types_are_refused(
    api: Api, session: Session, url: str, filename: str, content_type: str, text: str
) -> None:
    answer = api.upload(url, LOCATIONS, filename, content_type)

    assert (answer.status_code, answer.json) == (400, {"file": [text]})
    assert session.scalars(select(File)).all() == []


def test_a_missing_an_empty_and_a_textual_file_are_refused(api: Api, url: str) -> None:
    missing = api.post(url, data={"other": (io.BytesIO(b"x"), "a.csv", "text/csv")})
    textual = api.post(url, data={"file": "text"}, content_type="multipart/form-data")

    assert missing.json == {"file": ["No file was submitted."]}
    assert api.post(url).json == {"file": ["No file was submitted."]}
    assert api.upload(url, b"").json == {"file": ["The submitted file is empty."]}
    assert textual.json == {"file": ["The submitted data was not a file. Check the encoding type on the form."]}


def test_only_multipart_is_taken(api: Api, url: str) -> None:
    answer = api.post(url, {"file": "x"})

    assert (answer.status_code, answer.json) == (
        415,
        {"detail": 'Unsupported media type "application/json" in request.'},
    )


def test_csv_may_be_called_excel(api: Api, url: str) -> None:
    assert api.upload(url, LOCATIONS, "a.csv", "application/vnd.ms-excel").status_code == 200
    assert api.get(url).headers["Content-Type"] == "application/vnd.ms-excel"


def test_the_extension_is_kept_in_the_stored_name(api: Api, url: str) -> None:
    content = f"data_files/{api.create('data_files/', {'file_description': 'a'})['id']}/content/"
    for path, filename, content_type, ending in (
        (content, "a.tar.gz", "application/gzip", ".tar.gz"),
        (url, "a.csv.gz", "application/gzip", ".gz"),
        (url, "a b.CSV", "text/csv", ".CSV"),
        (url, "noextension", "text/csv", ""),
    ):
        body = gzip.compress(b"x", mtime=0) if content_type == "application/gzip" else b"x"
        posted: Any = api.upload(path, body, filename, content_type).json
        assert posted["file"][32:] == ending
        assert posted["filename"] == filename


@pytest.mark.parametrize(("filename", "meant"), [("a.csv", "text/csv"), ("a.CSV.GZ", "application/gzip")])
def test_a_file_of_which_no_type_is_said_is_what_its_name_means(api: Api, url: str, filename: str, meant: str) -> None:
    content = gzip.compress(LOCATIONS.encode(), mtime=0) if meant == "application/gzip" else LOCATIONS

    assert api.upload(url, content, filename, None).status_code == 200
    assert api.get(url).headers["Content-Type"] == meant


@pytest.mark.parametrize("content_type", ["a/\x01b", "a/ü", "a/" + "b" * 10_240])
def test_a_type_that_could_not_be_sent_again_is_refused(api: Api, content_type: str) -> None:
    data_file = api.create("data_files/", {"file_description": "rates"})

    answer = api.upload(f"data_files/{data_file['id']}/content/", b"x", "a.bin", content_type)

    assert (answer.status_code, answer.json) == (400, {"file": ["The content type of the file is not one."]})


@pytest.mark.parametrize(
    ("content", "content_type", "read_as"),
    [
        (LOCATIONS.encode(), "text/csv", "data"),
        (LOCATIONS.encode(), "application/vnd.ms-excel", "data"),
        (gzip.compress(LOCATIONS.encode(), mtime=0), "application/gzip", "data.csv.gz"),
        (parquet(), "application/octet-stream", "data.parquet"),
    ],
)
def test_a_file_without_a_suffix_is_read_as_what_its_type_says(
    api: Api, session: Session, content: bytes, content_type: str, read_as: str
) -> None:
    portfolio = api.portfolio(None)
    api.upload(f"portfolios/{portfolio['id']}/location_file/", content, "data", content_type)
    analysis = api.analysis(portfolio)

    assert api.post(f"analyses/{analysis['id']}/generate_inputs/").status_code == 200

    run = session.scalars(select(Run)).one()
    # What knows nothing better reads csv.
    assert run.inputs["files"]["location_file"]["filename"] == read_as
    assert run.facts["location_rows"] == 3


def test_names_beyond_ascii_come_back(api: Api, url: str) -> None:
    api.upload(url, LOCATIONS, "häuser.csv")

    disposition = api.get(url).headers["Content-Disposition"]
    assert disposition == "attachment; filename=\"h_user.csv\"; filename*=UTF-8''h%C3%A4user.csv"


def test_a_large_file_comes_back_as_it_was(api: Api, url: str) -> None:
    content = b"A,B\n" + b"1,2\n" * 700_000
    api.upload(url, content)

    assert api.get(url).data == content


def test_csv_can_be_had_as_parquet(api: Api, url: str) -> None:
    api.upload(url, LOCATIONS, "homes.csv")

    answer = api.get(f"{url}?file_format=parquet")

    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="homes.csv.parquet"'
    assert pq.read_table(io.BytesIO(answer.data)).to_pydict()["BuildingTIV"] == [100, 200, 300]
    assert api.get(f"{url}?file_format=csv").text == LOCATIONS


def test_what_oed_has_as_text_stays_text(api: Api, url: str) -> None:
    api.upload(url, "LocNumber,postalcode,CountryCode,BuildingTIV\n007,01234,NA,1.5\n8,,GB,2\n", "homes.csv")

    read = pq.read_table(io.BytesIO(api.get(f"{url}?file_format=parquet").data)).to_pydict()

    assert read == {
        "LocNumber": ["007", "8"],
        "postalcode": ["01234", ""],
        "CountryCode": ["NA", "GB"],
        "BuildingTIV": [1.5, 2.0],
    }


def test_parquet_can_be_had_as_csv(api: Api, url: str) -> None:
    target = io.BytesIO()
    pq.write_table(pa.table({"LocNumber": ["1", "a,b"], "TIV": [1.5, None]}), target)
    api.upload(url, target.getvalue(), "homes.parquet", "application/octet-stream")

    answer = api.get(f"{url}?file_format=csv")

    assert answer.headers["Content-Type"] == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="homes.parquet.csv"'
    assert answer.text == 'LocNumber,TIV\n1,1.5\n"a,b",\n'


def test_what_cannot_be_converted_is_a_refusal(api: Api, url: str) -> None:
    broken = b"PAR1 but what follows is none PAR1"
    api.upload(url, broken, "homes.parquet", "application/octet-stream")

    assert api.get(f"{url}?file_format=csv").status_code == 400
    assert api.get(url).data == broken


def test_converted_files_do_not_exist(api: Api, url: str) -> None:
    api.upload(url, LOCATIONS)

    assert api.get(f"{url}?converted").status_code == 404


def test_data_files_take_any_type_that_fits_its_name(api: Api) -> None:
    data_file = api.create("data_files/", {"file_description": "rates", "file_category": None})
    assert list(data_file) == [
        "id",
        "file_description",
        "file_category",
        "created",
        "modified",
        "groups",
        "file",
        "filename",
        "stored",
        "content_type",
    ]
    assert (data_file["file"], data_file["filename"]) == (None, None)
    content = f"data_files/{data_file['id']}/content/"
    assert api.get(content).status_code == 404

    posted: Any = api.upload(content, b"bytes", "rates.bin", "application/x-anything").json
    assert list(posted) == ["created", "file", "filename", "groups", "conversion_state"]
    read: Any = api.get(f"data_files/{data_file['id']}/").json
    assert read["file"] == f"http://localhost/v2/{content}"
    assert (read["filename"], read["stored"]) == ("rates.bin", posted["file"])
    assert api.get(content).headers["Content-Type"] == "application/x-anything"
    assert api.upload(content, b"x", "rates.csv", "text/plain").status_code == 400
    assert len(api.get("data_files/?filename=RATES.bin&content_type__contains=anything").json or []) == 1
    assert api.get("data_files/?file_category=x").json == []

    assert "groups" not in (api.get(f"/v1/data_files/{data_file['id']}/").json or {})
    assert (api.put(f"data_files/{data_file['id']}/", {"file_description": "b"}).json or {})["file_description"] == "b"
    assert api.delete(content).status_code == 200
    assert api.delete(f"data_files/{data_file['id']}/").status_code == 204
    assert api.get("data_files/").json == []


@pytest.mark.parametrize("query", ["", "?file_format=parquet"])
def test_a_head_has_the_headers_and_leaves_nothing_open(api: Api, url: str, query: str) -> None:
    api.upload(url, LOCATIONS)
    sent = api.get(f"{url}{query}")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = api.client.head(f"/v2/{url}{query}", headers=api.headers)
        answer.close()
        gc.collect()

    assert answer.data == b""
    assert answer.headers["Content-Type"] == sent.headers["Content-Type"]


def test_uploads_at_the_same_moment_leave_one_file_with_an_owner(api: Api, session: Session, url: str) -> None:
    def upload(number: int) -> int:
        other = Api(api.app)
        other.headers = api.headers
        return other.upload(url, f"A\n{number}\n").status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(upload, range(12))) == {200}

    owned = session.scalars(select(File).where(File.released_at.is_(None))).all()
    assert [file.id for file in owned] == [session.scalars(select(Portfolio)).one().location_file_id]
