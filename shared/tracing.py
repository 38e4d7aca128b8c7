"""Traces for OpenTelemetry, where the standard variables configure an exporter (OTLP over HTTP, with protobuf).

Nothing of OpenTelemetry is imported before one is opened: what is not configured costs nothing.
Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from shared.settings import BadSetting

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

SCOPE = "lossline"
"""Whose spans they are, as OpenTelemetry names it."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_PACKAGE = "opentelemetry.exporter.otlp.proto.http"


def traces_wanted(environ: Mapping[str, str]) -> bool:
    """Whether an exporter of traces is configured. Raises BadSetting for one that there is not."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter == "none" or not (exporter or any(environ.get(name) for name in _ENDPOINTS)):
        return False
    if exporter not in ("", "otlp"):
        raise BadSetting("OTEL_TRACES_EXPORTER", exporter, "otlp or none")
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _PROTOCOL)
    if protocol != _PROTOCOL:
        raise BadSetting("OTEL_EXPORTER_OTLP_PROTOCOL", protocol, _PROTOCOL)
    if not _is_installed():
        raise BadSetting("OTEL_TRACES_EXPORTER", exporter, "none, or install lossline[tracing]")
    return True


@contextmanager
def open_exporter() -> Iterator["SpanExporter"]:
    """What sends spans, and says whether they have arrived. It reads the rest of the variables itself."""
    exporter = _exporter()
    try:
        yield exporter
    finally:
        exporter.shutdown()


@contextmanager
def open_tracer(service: str) -> Iterator["Tracer"]:
    """What makes spans of this process and sends them behind its back; the last ones at the end of the block."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource(service), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter()))
    try:
        yield provider.get_tracer(SCOPE)
    finally:
        provider.shutdown()


def resource(service: str) -> "Resource":
    """Who sends: what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say, else this service."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    found = Resource.create()
    is_named = not str(found.attributes[SERVICE_NAME]).startswith("unknown_service")
    return found if is_named else found.merge(Resource({SERVICE_NAME: service}))


def _exporter() -> "SpanExporter":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _is_installed() -> bool:
    try:
        return find_spec(_PACKAGE) is not None
    except ModuleNotFoundError:
        return False
