"""The OpenAPI document: complete, committed, served, and readable on a page that needs no internet."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from services.api.openapi.document import Undescribed, openapi_document
from services.api.routes import Route
from services.api.views import server
from tests.api.api_client import Api
from tests.api.documented import assert_documented

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
MODEL = {"supplier_id": "OasisLMF", "model_id": "PiWind", "version_id": "1"}
ADDRESS = re.compile(r'(?:href|src|data-url)="([^"]*)"')


def paths_of_application(api: Api) -> set[str]:
    rules = (rule.rule for rule in api.app.url_map.iter_rules() if rule.endpoint == rule.rule)
    return {re.sub(r"<(\w+)>", r"{\1}", rule) for rule in rules}


def test_every_path_of_the_application_is_in_the_document(api: Api):
    pages = {"/", "/v1/", "/v2/", "/openapi.json", "/schema/", "/v1/schema/", "/v2/schema/"}

    assert paths_of_application(api) - pages == set(openapi_document()["paths"])


def test_every_operation_has_a_name_of_its_own():
    operations = [each for path in openapi_document()["paths"].values() for each in path.values()]
    names = {operation["operationId"] for operation in operations}

    assert len(names) == len(operations)
    assert all(operation["summary"] for operation in operations)


def test_a_route_without_a_description_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.api.openapi.document.VERSIONED", (Route("new/", {"GET": server.get_health}),))

    with pytest.raises(Undescribed, match="GET new/"):
        openapi_document.__wrapped__()


@pytest.mark.parametrize("path", ["/openapi.json", "/schema/", "/api/openapi.json"])
def test_what_is_served_is_what_is_committed(api: Api, path: str):
    served = Api(api.app).get(path).json | {"servers": []}

    assert served == json.loads(COMMITTED.read_text("utf-8")) | {"servers": []}


@pytest.mark.parametrize(("below", "server_url"), [("", "/"), ("/api", "/api")])
def test_the_page_tries_the_server_that_it_came_from(api: Api, below: str, server_url: str):
    assert api.get(f"{below}/openapi.json").json["servers"][0] == {"url": server_url}


def test_a_version_has_a_document_of_its_own(api: Api):
    paths = api.get("/v1/schema/").json["paths"]

    assert "/v1/models/" in paths
    assert not [path for path in paths if path.startswith("/v2/")]


def test_a_version_that_is_left_out_is_not_described(api_with: Callable[..., Api]):
    api = api_with(disable_v2=True)

    assert not [path for path in api.get("/openapi.json").json["paths"] if path.startswith("/v2/")]
    assert api.get("/v2/schema/").status_code == 404


@pytest.mark.parametrize("page", ["/", "/v1/", "/v2/", "/api/", "/api/v2/"])
def test_everything_on_the_page_comes_from_here(api: Api, page: str):
    answer = Api(api.app).get(page, headers={"Accept": "text/html"})
    addresses = ADDRESS.findall(answer.text)

    assert answer.content_type == "text/html; charset=utf-8"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert len(addresses) == 6
    assert all(address.startswith("/api/" if page.startswith("/api") else "/") for address in addresses)
    assert [Api(api.app).get(address).status_code for address in addresses] == [200] * 6


def test_only_the_files_of_the_page_are_served(api: Api):
    assert api.get("/swagger-ui/..%2fflask_swagger_ui.py").status_code == 404
    assert api.get("/swagger-ui/VERSION").status_code == 404


@pytest.mark.parametrize(("path", "problem"), [("/v2/models/7/", "is not of type 'object'"), ("/v2/audit/", "'at'")])
def test_an_answer_that_is_not_promised_is_noticed(api: Api, path: str, problem: str):
    api.model()

    with pytest.raises(AssertionError, match=problem):
        assert_documented("GET", path, api.get("models/"))


def test_a_status_that_is_not_promised_is_noticed(api: Api):
    with pytest.raises(AssertionError, match="201 is not in the document"):
        assert_documented("GET", "/v2/models/", api.post("models/", MODEL))
