"""Spans of ours as those of OpenTelemetry, sent and confirmed. Imported only where an exporter is configured."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from services.task_controller.tracing.spans import RecordedSpan, TracedRun, spans_of, trace_id
from shared.tracing import SCOPE

_AT_ONCE = 512
_EPOCH = datetime.fromtimestamp(0, UTC)
_SCOPE = InstrumentationScope(SCOPE)


def send(exporter: SpanExporter, resource: Resource, run: TracedRun) -> bool:
    """Whether all spans of the run have arrived."""
    trace, spans = trace_id(run.origin), iter(spans_of(run))
    while batch := [_readable(span, trace, resource) for span in islice(spans, _AT_ONCE)]:
        if exporter.export(batch) is not SpanExportResult.SUCCESS:
            return False
    return True


def _readable(span: RecordedSpan, trace: int, resource: Resource) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=_context(trace, span.span_id),
        parent=_context(trace, span.parent_id),
        resource=resource,
        attributes=dict(span.attributes),
        events=[Event(name, timestamp=_nanoseconds(at)) for name, at in span.events],
        links=list(_links(span)),
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK),
        start_time=_nanoseconds(span.start),
        end_time=_nanoseconds(span.end),
        instrumentation_scope=_SCOPE,
    )


def _links(span: RecordedSpan) -> Iterator[Link]:
    return (Link(_context(trace, other)) for trace, other in span.links)


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
