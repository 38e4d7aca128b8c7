"""Conditional requests and ranges on stored files (RFC 9110)."""

from collections.abc import Callable

import pytest

from services.api.dependencies import Dependencies
from services.api.presigned_settings import Presigned, PresignedSettings
from tests.api.api_client import LOCATIONS, Api

CONTENT = LOCATIONS.encode()


@pytest.fixture
def url(api: Api) -> str:
    return f"portfolios/{api.portfolio()['id']}/location_file/"


def test_a_download_says_its_length_its_version_and_that_parts_may_be_had(api: Api, url: str) -> None:
    answer = api.get(url)

    assert (answer.status_code, answer.data) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Type"] == "text/csv"
    etag = answer.headers["ETag"]
    assert etag.startswith('"')
    assert api.get(url).headers["ETag"] == etag


def test_what_the_client_has_is_not_sent_again(api: Api, url: str) -> None:
    etag = api.get(url).headers["ETag"]

    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = api.get(url, headers={"If-None-Match": known})
        assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag)
    assert api.get(url, headers={"If-None-Match": '"other"'}).data == CONTENT


def test_a_new_file_has_another_version(api: Api, url: str) -> None:
    etag = api.get(url).headers["ETag"]
    api.upload(url, LOCATIONS)

    assert api.get(url, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("0-4", 0, 5), ("5-", 5, len(CONTENT)), ("-7", len(CONTENT) - 7, len(CONTENT)), ("3-9999", 3, len(CONTENT))],
)
def test_a_part_is_sent_as_206(api: Api, url: str, wanted: str, start: int, end: int) -> None:
    answer = api.get(url, headers={"Range": f"bytes={wanted}"})

    assert (answer.status_code, answer.data) == (206, CONTENT[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.headers["Content-Type"] == "text/csv"


@pytest.mark.parametrize("wanted", ["bytes=9999-", "bytes=99999-100000"])
def test_a_part_beyond_the_end_is_416(api: Api, url: str, wanted: str) -> None:
    answer = api.get(url, headers={"Range": wanted})

    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
    assert answer.json == {"detail": "The file does not have the bytes that are asked for."}


@pytest.mark.parametrize("wanted", ["bytes=0-1,3-4", "lines=0-1", "bytes=x", "bytes", "bytes=5-1", "bytes=0-1" * 9999])
def test_ranges_that_we_do_not_serve_are_ignored(api: Api, url: str, wanted: str) -> None:
    answer = api.get(url, headers={"Range": wanted})

    assert (answer.status_code, answer.data) == (200, CONTENT)


def test_an_interrupted_download_goes_on_only_with_the_same_version(api: Api, url: str) -> None:
    etag = api.get(url).headers["ETag"]
    part = {"Range": "bytes=10-"}

    assert api.get(url, headers=part | {"If-Range": etag}).status_code == 206
    for other in ('"other"', "Wed, 21 Oct 2015 07:28:00 GMT"):
        answer = api.get(url, headers=part | {"If-Range": other})
        assert (answer.status_code, answer.data) == (200, CONTENT)


def test_a_file_that_has_lost_its_object_is_404(api: Api, url: str, dependencies: Dependencies) -> None:
    for each in list(dependencies.store.list("")):
        dependencies.store.delete(each.key)

    answer = api.get(url, headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.json) == (404, {"detail": "Not found."})


def test_files_in_a_directory_go_through_the_api_whatever_is_set(
    api: Api, url: str, api_with: Callable[..., Api]
) -> None:
    client = api_with(presigned=PresignedSettings(Presigned.ALWAYS, uploads=True)).login("admin", "password")

    assert client.get(url).data == CONTENT
    refused = client.get(f"{url}?presigned=true")
    assert (refused.status_code, "OASIS_STORAGE_TYPE=s3" in refused.json["presigned"][0]) == (400, True)
    form = client.post(f"{url}presigned/", {"filename": "a.csv", "content_type": "text/csv"})
    assert (form.status_code, "OASIS_STORAGE_TYPE=s3" in form.json["detail"]) == (404, True)
