"""Downloads that the store answers itself."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import requests

from services.api.presigned_settings import Presigned
from tests.api.api_client import LOCATIONS, Api
from tests.object_store.presigned.conftest import MakeApi

pytestmark = pytest.mark.integration

NAME = 'Straße "7" + ü.csv'


def _url(api: Api) -> str:
    portfolio = api.create("portfolios/", {"name": "a portfolio"})
    url = f"portfolios/{portfolio['id']}/location_file/"
    assert api.upload(url, LOCATIONS, NAME.replace('"', "%22")).status_code == 200
    return url


def test_who_asks_is_sent_to_the_store_under_the_address_that_clients_see(api: Api, external: str) -> None:
    url = _url(api)

    answer = api.get(f"{url}?presigned=true")

    assert (answer.status_code, answer.data) == (302, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Location"].startswith(f"{external}/")
    there = requests.get(answer.headers["Location"], timeout=30)
    assert (there.status_code, there.text) == (200, LOCATIONS)
    same = api.get(url)
    for header in ("Content-Type", "Content-Disposition"):
        assert there.headers[header] == same.headers[header]
    part = requests.get(answer.headers["Location"], headers={"Range": "bytes=4-9"}, timeout=30)
    assert (part.status_code, part.text) == (206, LOCATIONS[4:10])


def test_every_stored_file_is_redirected_when_the_setting_says_always(make_api: MakeApi) -> None:
    api = make_api(downloads=Presigned.ALWAYS)
    url = _url(api)
    data_file = api.create("data_files/", {"file_description": "a file"})
    api.upload(f"data_files/{data_file['id']}/content/", b"bytes", "a.bin", "application/octet-stream")

    for path, content in ((url, LOCATIONS.encode()), (f"data_files/{data_file['id']}/content/", b"bytes")):
        answer = api.get(path)
        assert answer.status_code == 302
        assert requests.get(answer.headers["Location"], timeout=30).content == content
    assert api.get(f"{url}?presigned=false").text == LOCATIONS
    # What is converted while it is sent is nowhere in the store.
    assert api.get(f"{url}?file_format=parquet").data.startswith(b"PAR1")
    head = api._ask("HEAD", url)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(LOCATIONS)))


def test_a_signature_is_good_for_one_object_and_one_address_and_one_while(make_api: MakeApi) -> None:
    api = make_api(downloads=Presigned.ALWAYS, good_for=timedelta(seconds=1))
    location = api.get(_url(api)).headers["Location"]
    path = urlsplit(location).path

    for changed in (
        location.replace("localhost", "127.0.0.1"),
        location.replace("text%2Fcsv", "text%2Fhtml"),
        location.replace(path, f"{path}x"),
        location[:-1] + ("0" if location[-1] != "0" else "1"),
    ):
        assert changed != location
        assert requests.get(changed, timeout=30).status_code == 403
    while requests.get(location, timeout=30).status_code == 200:  # the timeout of the test is the deadline
        pass
    assert requests.get(location, timeout=30).status_code == 403


def test_where_nothing_is_set_the_answer_names_the_settings(make_api: MakeApi) -> None:
    api = make_api()
    url = _url(api)

    assert api.get(url).text == LOCATIONS
    answer = api.get(f"{url}?presigned=true")
    assert answer.status_code == 400
    assert "OASIS_SERVER_PRESIGNED_DOWNLOADS" in answer.json["presigned"][0]
    assert api.get(f"{url}?presigned=perhaps").json == {"presigned": ["Must be a valid boolean."]}
