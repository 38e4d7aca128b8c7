"""A small client of the application under test, and builders of what it works with."""

from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from tests.api.documented import assert_documented

BOUNDARY = "a-boundary-of-the-tests"
LOCATIONS = "PortNumber,AccNumber,LocNumber,BuildingTIV\n1,A,1,100\n1,A,2,200\n1,A,3,300\n"
ACCOUNTS = "PortNumber,AccNumber,PolNumber\n1,A,P\n"
MODEL_SETTINGS: dict[str, Any] = {
    "version": "3",
    "model_settings": {
        "event_set": {
            "name": "Event Set",
            "desc": "",
            "default": "p",
            "options": [{"id": "p", "desc": "Probabilistic", "number_of_events": 100}, {"id": "x", "desc": "no count"}],
        }
    },
    "lookup_settings": {"supported_perils": [{"id": "WTC", "desc": "Wind"}]},
}
ANALYSIS_SETTINGS: dict[str, Any] = {
    "model_supplier_id": "OasisLMF",
    "model_name_id": "PiWind",
    "model_settings": {"event_set": "p", "event_occurrence_id": "lt"},
    "gul_output": True,
    "gul_summaries": [{"id": 1, "ord_output": {"elt_sample": True}}],
}


class Api:
    """Requests to the application, below `/v2/` unless the path begins with a slash."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client = app.test_client()
        self.headers: dict[str, str] = {}

    def login(self, username: str, password: str) -> "Api":
        tokens = self.post("/access_token/", {"username": username, "password": password}).json
        assert tokens is not None
        self.headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return self

    def get(self, path: str, **rest: Any) -> TestResponse:
        return self._ask("GET", path, **rest)

    def post(self, path: str, json: Any = None, **rest: Any) -> TestResponse:
        return self._ask("POST", path, json=json, **rest)

    def put(self, path: str, json: Any = None) -> TestResponse:
        return self._ask("PUT", path, json=json)

    def patch(self, path: str, json: Any = None, **rest: Any) -> TestResponse:
        return self._ask("PATCH", path, json=json, **rest)

    def delete(self, path: str) -> TestResponse:
        return self._ask("DELETE", path)

    def upload(
        self, path: str, content: bytes | str, filename: str = "location.csv", content_type: str | None = "text/csv"
    ) -> TestResponse:
        # Encoded here: for large files the test client would leave a temporary file open.
        content = content.encode() if isinstance(content, str) else content
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        head += f"Content-Type: {content_type}\r\n\r\n" if content_type else "\r\n"
        body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
        return self._ask("POST", path, data=body, content_type=f"multipart/form-data; boundary={BOUNDARY}")

    def create(self, path: str, body: Any) -> Any:
        answer = self.post(path, body)
        assert answer.status_code == 201, answer.text
        return answer.json

    def model(self, model_id: str = "PiWind", run_mode: str | None = "V2", **rest: Any) -> Any:
        names = {"supplier_id": "OasisLMF", "model_id": model_id, "version_id": "1"}
        return self.create("models/", names | {"run_mode": run_mode} | rest)

    def portfolio(self, locations: bytes | str | None = LOCATIONS, filename: str = "location.csv") -> Any:
        portfolio = self.create("portfolios/", {"name": "a portfolio"})
        if locations is not None:
            assert self.upload(f"portfolios/{portfolio['id']}/location_file/", locations, filename).status_code == 200
        return portfolio

    def analysis(self, portfolio: Any = None, model: Any = None, **rest: Any) -> Any:
        portfolio = portfolio or self.portfolio()
        model = model or self.model()
        body = {"name": "an analysis", "portfolio": portfolio["id"], "model": model["id"]}
        return self.create("analyses/", body | rest)

    def _ask(self, method: str, path: str, **rest: Any) -> TestResponse:
        url = path if path.startswith("/") else f"/v2/{path}"
        headers = self.headers | rest.pop("headers", {})
        answer = self.client.open(url, method=method, headers=headers, **rest)
        assert_documented(method, url, answer)
        return answer
