"""Takes traces as OpenTelemetry's collector does: OTLP over HTTP, with protobuf."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class SentSpan:
    """A span as it came over the wire. Ids are hexadecimal; the parent of a root is empty."""

    service: str
    trace: str
    span_id: str
    parent: str
    name: str
    start: int
    end: int
    attributes: dict[str, Any]
    events: dict[str, int]
    is_error: bool
    links: list[tuple[str, str]]


@dataclass
class Collector:
    """What has come so far. While `status` is another one than 200, nothing is taken."""

    url: str = ""
    status: int = 200
    spans: list[SentSpan] = field(default_factory=list)

    def named(self, name: str) -> SentSpan:
        """The one span of this name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def below(self, span: SentSpan) -> list[str]:
        """The names of what is right below a span, by their start."""
        children = (each for each in self.spans if each.parent == span.span_id)
        return [each.name for each in sorted(children, key=lambda each: each.start)]


@contextmanager
def trace_collector() -> Iterator[Collector]:
    """Runs on a port of its own for the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if collector.status == 200:
                collector.spans += _spans(gzip.decompress(body) if self.headers.get("Content-Encoding") else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(collector.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _spans(body: bytes) -> Iterator[SentSpan]:
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _values(group.resource.attributes)["service.name"]
        for span in (span for scope in group.scope_spans for span in scope.spans):
            yield SentSpan(
                service,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.name,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                _values(span.attributes),
                {event.name: event.time_unix_nano for event in span.events},
                span.status.code == span.status.STATUS_CODE_ERROR,
                [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
            )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
