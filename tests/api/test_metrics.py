"""Figures of the requests, and the ids of these."""

import json
import logging
from io import StringIO

import pytest
from pythonjsonlogger.json import JsonFormatter

from services.api.request_ids import RequestIds
from tests.api.api_client import Api


def test_requests_are_counted_by_route_never_by_object(api: Api):
    for pk in (7, 8):
        api.get(f"models/{pk}/")

    text = Api(api.app).get("/metrics").text

    assert 'lossline_http_requests_total{method="GET",route="/v2/models/<pk>/",status="404"} 2.0' in text
    assert (
        'lossline_http_request_duration_seconds_count{method="GET",route="/v2/models/<pk>/",status="404"} 2.0' in text
    )


def test_paths_that_clients_make_up_are_one(api: Api):
    api.get("/made/up/")
    api._ask("BREW", "/coffee/")

    text = api.get("/metrics").text

    assert 'lossline_http_requests_total{method="GET",route="other",status="404"} 1.0' in text
    assert 'lossline_http_requests_total{method="other",route="other",status="404"} 1.0' in text
    assert "coffee" not in text


@pytest.mark.parametrize("path", ["models/", "models/7/", "/made/up/", "/openapi.json"])
def test_the_id_of_a_request_is_in_its_answer(api: Api, path: str):
    assert api.get(path, headers={"X-Request-Id": "from-the-proxy.1"}).headers["X-Request-Id"] == "from-the-proxy.1"


@pytest.mark.parametrize("sent", ["", "a b", 'a"b', "a" * 65, "\xe4"])
def test_an_id_that_a_log_could_not_trust_is_replaced(api: Api, sent: str):
    first, second = (api.get("models/", headers={"X-Request-Id": sent}).headers["X-Request-Id"] for _ in range(2))

    assert len(first) == len(second) == 32
    assert first != second


def test_what_is_logged_during_a_request_says_its_id(api: Api, monkeypatch: pytest.MonkeyPatch):
    handler = logging.StreamHandler(StringIO())
    handler.setFormatter(JsonFormatter())
    handler.addFilter(RequestIds())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    monkeypatch.setattr("services.api.views.server.peril_codes", lambda _version: 1 / 0)

    api.get("/oed_peril_codes/", headers={"X-Request-Id": "of-this-one"})

    assert json.loads(handler.stream.getvalue().splitlines()[0])["request_id"] == "of-this-one"
