"""Figures of the requests, at `/metrics`. Whoever reaches the port may read them; they name routes, never objects."""

import time

from flask import Flask, Response, g, request

from shared.metrics import CONTENT_TYPE, Counter, Histogram, Metric, exposition

REQUESTS = Metric("lossline_http_requests_total", "Requests to the API.", ("method", "route", "status"))
DURATIONS = Metric(
    "lossline_http_request_duration_seconds",
    "Until an answer begins; what is streamed after it is not in it.",
    ("method", "route", "status"),
)
_OTHER = "other"
"""Of requests to no route, and of methods that there are not: their names are for the client to choose."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


def measure(app: Flask) -> None:
    """Count every request, and serve what was counted."""
    requests, durations = Counter(REQUESTS), Histogram(DURATIONS)

    def begin() -> None:
        g.begun = time.perf_counter()

    def end(answer: Response) -> Response:
        values = (_method(), request.url_rule.rule if request.url_rule else _OTHER, str(answer.status_code))
        requests.add(*values)
        durations.observe(time.perf_counter() - g.begun, *values)
        return answer

    def metrics() -> Response:
        return Response(exposition((requests, durations)), content_type=CONTENT_TYPE)

    app.before_request(begin)
    app.after_request(end)
    app.add_url_rule("/metrics", view_func=metrics, endpoint="metrics")


def _method() -> str:
    return request.method if request.method in _METHODS else _OTHER
