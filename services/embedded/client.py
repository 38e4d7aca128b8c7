"""A small client of the HTTP API: just what the demo does."""

import mimetypes
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from services.embedded.environment import Login
from services.embedded.errors import ApiRefused, EmbeddedError
from services.embedded.token_login import TokenLogin
from shared.tls import usual_authorities

_TYPES = {".csv": "text/csv", ".parquet": "application/octet-stream", ".pq": "application/octet-stream"}
_TYPES |= {".gz": "application/gzip", ".zip": "application/zip", ".bz2": "application/x-bzip2"}
_TIMEOUT = 60


class ApiClient:
    """Logged in as one account. Raises ApiRefused for any status of 400 or more.

    `authorities`: the file that the server's certificate is checked by; without it the usual one.
    """

    def __init__(self, url: str, login: Login, authorities: str | None = None) -> None:
        self._url = url.rstrip("/") + "/"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = authorities or usual_authorities()
        self._session.auth = TokenLogin(self._url, login, self._session.verify)

    def get(self, path: str, **params: str) -> Any:
        """JSON of a resource."""
        return self._ask("GET", path, params=params).json()

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """JSON of the answer to an action."""
        return self._ask("POST", path, json=dict(body or {})).json()

    def upload(self, path: str, file: Path) -> Any:
        """Send a file."""
        kind = _TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0] or "text/csv"
        with file.open("rb") as stream:
            return self._ask("POST", path, files={"file": (file.name, stream, kind)}).json()

    def download(self, path: str, target: Path) -> None:
        """Fetch a file."""
        with self._ask("GET", path, stream=True) as response, target.open("wb") as stream:
            for block in response.iter_content(1 << 20):
                stream.write(block)

    def text(self, path: str) -> str:
        """Fetch a text."""
        return self._ask("GET", path).text

    def wait_for_model(self, supplier_id: str, model_id: str, version_id: str, *, within: float) -> int:
        """The id of a model, once a worker has registered it. Raises EmbeddedError after `within` seconds."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            for model in self.get("v2/models/", supplier_id=supplier_id, model_id=model_id, version_id=version_id):
                if model["version_id"] == version_id and model["run_mode"]:
                    return int(model["id"])
            time.sleep(0.1)
        raise EmbeddedError(f"No worker has registered {supplier_id}-{model_id}-{version_id} within {within:g} s.")

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        response = self._session.request(method, self._url + path, timeout=_TIMEOUT, **options)
        if response.status_code >= 400:
            raise ApiRefused(method, path, response.status_code, response.text)
        return response
