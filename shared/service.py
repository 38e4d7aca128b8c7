"""What every service does alike: structured logs, health over HTTP, and a stop on SIGTERM.

`/healthz` says that the process answers; `/readyz` that what matters works (a consumer, not a socket): status 200,
or 503 with the reason.
"""

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from shared.broker.library_logs import silence_libraries

Readiness = Callable[[], str | None]
"""Why the service is not ready, or None."""

log = logging.getLogger(__name__)


def configure_logging(service: str, level: str = "INFO") -> None:
    """One JSON object a line on standard error; ids of analysis, run, sub-task, attempt and worker as fields."""
    handler = logging.StreamHandler(sys.stderr)
    fields = "%(asctime)s %(levelname)s %(name)s %(message)s"
    handler.setFormatter(JsonFormatter(fields, static_fields={"service": service}))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    silence_libraries()
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set. Call it in the main thread."""
    stopping = threading.Event()

    def stop(number: int, _frame: Any) -> None:
        log.info("Stopping", extra={"signal": signal.Signals(number).name})
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping


@contextmanager
def serve_health(port: int, readiness: Readiness, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve health while inside; yields the port. Port 0 serves none and yields 0."""
    if port == 0:
        yield 0
        return
    server = ThreadingHTTPServer((host, port), _handler(readiness))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(readiness: Readiness) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/healthz":
                self._answer(200, {"status": "OK"})
            elif self.path == "/readyz":
                reason = readiness()
                self._answer(200 if reason is None else 503, {"status": reason or "OK"})
            else:
                self._answer(404, {"detail": "Not found."})

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of the base class
            log.debug("Health was asked for", extra={"request": format % args})

        def _answer(self, status: int, body: dict[str, str]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler


@contextmanager
def threads(
    stopping: threading.Event, **loops: Callable[[threading.Event], None]
) -> Iterator[Callable[[], str | None]]:
    """Run each loop in a thread of that name until `stopping`; one that fails stops them all.

    Yields a function that names a loop that has failed, or None.
    """
    failed: list[str] = []

    def guarded(name: str, loop: Callable[[threading.Event], None]) -> None:
        try:
            loop(stopping)
        except Exception:
            log.exception("A loop has failed", extra={"loop": name})
            failed.append(name)
            stopping.set()

    running = [threading.Thread(target=guarded, args=(name, loop), name=name) for name, loop in loops.items()]
    for thread in running:
        thread.start()
    try:
        yield lambda: failed[0] if failed else None
    finally:
        stopping.set()
        for thread in running:
            thread.join()
