"""An HTTP API of a few lines that logs in, and takes only the tokens that it has given last."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class HttpApi:
    """What it was asked, and how it answers."""

    def __init__(self) -> None:
        self.logins: list[dict[str, list[str]]] = []
        self.life = 3600.0
        self.login_status = 200
        self.status = 200
        self.body = b'["answer"]'
        self.url = ""

    @property
    def good_token(self) -> str:
        return f"token {len(self.logins)}"

    @contextmanager
    def serving(self) -> Iterator[HttpApi]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(api: HttpApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
            if api.login_status == 200:
                api.logins.append(parse_qs(text))
            body = {"access_token": api.good_token, "expires_in": api.life}
            self._answer(api.login_status, json.dumps(body).encode())

        def do_GET(self) -> None:
            if self.headers["Authorization"] != f"Bearer {api.good_token}":
                self._answer(403, b'{"detail": "Token is expired"}')
            else:
                self._answer(api.status, api.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 - the signature of the base class
            return None

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
