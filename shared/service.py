"""What every service does alike: structured logs, health over HTTP, and a stop on SIGTERM.

`/healthz` says that the process answers; `/readyz` that what matters works (a consumer, not a socket): status 200,
or 503 with the reason. `/metrics` has figures for Prometheus.
"""

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from shared.broker.library_logs import silence_libraries
from shared.metrics import CONTENT_TYPE, Figure, Gauge, Metric, exposition

Readiness = Callable[[], str | None]
"""Why the service is not ready, or None."""

Figures = Sequence[Figure]

READY = Metric("lossline_ready", "Whether the service is ready: 1, or 0.")

log = logging.getLogger(__name__)


class CannotListen(OSError):
    """A port of this machine cannot be listened at."""


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
def serve_health(port: int, readiness: Readiness, host: str = "127.0.0.1", figures: Figures = ()) -> Iterator[int]:
    """Serve health and figures while inside; yields the port. Port 0 serves none and yields 0. Raises CannotListen."""
    if port == 0:
        yield 0
        return
    try:
        server = ThreadingHTTPServer((host, port), _handler(readiness, (ready_gauge(readiness), *figures)))
    except OSError as error:
        reason = error.strerror or error
        raise CannotListen(
            f"Health cannot be served at {host}:{port} ({reason}): choose another HEALTH_PORT."
        ) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ready_gauge(readiness: Readiness) -> Gauge:
    """Readiness as a figure."""
    return Gauge(READY, lambda: {(): float(readiness() is None)})


def _handler(readiness: Readiness, figures: Figures) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/healthz":
                self._answer(200, {"status": "OK"})
            elif self.path == "/readyz":
                reason = readiness()
                self._answer(200 if reason is None else 503, {"status": reason or "OK"})
            elif self.path == "/metrics":
                self._send(200, exposition(figures).encode(), CONTENT_TYPE)
            else:
                self._answer(404, {"detail": "Not found."})

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of the base class
            log.debug("Health was asked for", extra={"request": format % args})

        def _answer(self, status: int, body: dict[str, str]) -> None:
            self._send(status, json.dumps(body).encode(), "application/json")

        def _send(self, status: int, text: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
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
