"""Where kernels report progress: HTTP on localhost, each attempt under a secret path of its own.

`oasislmf` posts `{"events_total": n}` once and `{"events_complete": n}` again and again (oasis_api.md section 6.4).
"""

import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

log = logging.getLogger(__name__)

Noted = Callable[[UUID, int | None, int], None]
"""Called in a thread of the server with attempt, total (or None) and how many more events are complete."""

_LONGEST_BODY = 64 * 1024


class ProgressServer:
    """Accepts reports while inside `serving`; `noted` is called for each."""

    def __init__(self, noted: Noted) -> None:
        self._noted = noted
        self._attempts: dict[str, UUID] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve in a thread."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="progress")
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def open(self, attempt_id: UUID) -> str:
        """The address at which an attempt reports."""
        secret = secrets.token_urlsafe(24)
        self._attempts[secret] = attempt_id
        return f"http://127.0.0.1:{self._server.server_port}/{secret}/"

    def close(self, attempt_id: UUID) -> None:
        """Accept nothing more of the attempt."""
        self._attempts = {secret: each for secret, each in self._attempts.items() if each != attempt_id}

    def take(self, path: str, body: bytes) -> int:
        """The HTTP status for a report."""
        attempt_id = self._attempts.get(path.strip("/"))
        if attempt_id is None:
            return 404
        try:
            fields = json.loads(body)
            total = int(fields["events_total"]) if "events_total" in fields else None
            more = int(fields.get("events_complete", 0))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return 400
        self._noted(attempt_id, total, more)
        return 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self.take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = self.headers.get("Content-Length") or "0"
                short = length.isdecimal() and int(length) <= _LONGEST_BODY
                self.send_response(take(self.path, self.rfile.read(int(length))) if short else 413)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of the base class
                log.debug("Progress was reported", extra={"request": format % args})

        return Handler
