"""A span for every request, where an exporter of traces is configured; the runs that it requests go below it."""

from typing import TYPE_CHECKING

from flask import Flask, Response, g, request

from services.api.request_ids import request_id

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext, Tracer

_QUIET = ("/healthcheck/", "/metrics")
"""What is asked every few seconds, by machines."""


def trace_parent() -> str | None:
    """The span of this request, as the header `traceparent` of W3C names it; None where it is not traced."""
    found: str | None = g.get("trace_parent")
    return found


def trace_requests(app: Flask, tracer: "Tracer") -> None:
    """Make a span of each request, below that of the client where it names one."""
    from opentelemetry.trace import SpanKind, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()

    def begin() -> None:
        if request.path.endswith(_QUIET):
            return
        context = propagator.extract(request.headers)
        facts = {"http.request.method": request.method, "url.path": request.path}
        attributes = facts | {"lossline.request.id": request_id()}
        g.span = tracer.start_span(_name(), context, SpanKind.SERVER, attributes)
        g.trace_parent = _header(g.span.get_span_context())

    def describe(answer: Response) -> Response:
        if "span" in g:
            g.span.set_attribute("http.response.status_code", answer.status_code)
            if answer.status_code >= 500:
                g.span.set_status(StatusCode.ERROR)
        return answer

    def end(_error: BaseException | None) -> None:
        if "span" in g:
            g.span.end()

    app.before_request(begin)
    app.after_request(describe)
    app.teardown_request(end)


def _name() -> str:
    """Routes, not paths: a name stands for many requests."""
    return f"{request.method} {request.url_rule.rule}" if request.url_rule else request.method


def _header(context: "SpanContext") -> str | None:
    sampled = context.is_valid and context.trace_flags.sampled
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01" if sampled else None
