"""Where kernels report their progress: an HTTP server that everything on the machine can reach."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from services.model_worker.progress import ProgressServer

Noted = list[tuple[UUID, int | None, int]]


@pytest.fixture
def noted() -> Noted:
    return []


@pytest.fixture
def server(noted: Noted) -> Iterator[ProgressServer]:
    server = ProgressServer(lambda *report: noted.append(report))
    with server.serving():
        yield server


def post(url: str, body: bytes, **headers: str) -> int:
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_reports_reach_the_attempt_whose_secret_they_name(server: ProgressServer, noted: Noted) -> None:
    first, second = uuid4(), uuid4()
    urls = server.open(first), server.open(second)
    assert post(urls[0], json.dumps({"events_total": 50, "analysis_pk": "7"}).encode()) == 200
    assert post(urls[1], json.dumps({"events_complete": 3}).encode()) == 200
    assert noted == [(first, 50, 0), (second, None, 3)]


def test_an_unknown_secret_is_not_found(server: ProgressServer, noted: Noted) -> None:
    url = server.open(uuid4())
    assert post(url[:-2] + "x/", b'{"events_total": 1}') == 404
    assert noted == []


def test_a_secret_is_unknown_after_its_attempt(server: ProgressServer) -> None:
    attempt_id = uuid4()
    url = server.open(attempt_id)
    server.close(attempt_id)
    assert post(url, b'{"events_total": 1}') == 404


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b'{"events_total": null}', b'{"events_complete": Infinity}', b"[" * 60_000]
)
def test_what_is_no_report_is_a_bad_request(server: ProgressServer, noted: Noted, body: bytes) -> None:
    assert post(server.open(uuid4()), body) == 400
    assert noted == []


@pytest.mark.parametrize("length", ["-1", "70000", "many"])
def test_a_body_of_a_strange_length_is_refused(server: ProgressServer, length: str) -> None:
    assert post(server.open(uuid4()), b"", **{"Content-Length": length}) == 413
