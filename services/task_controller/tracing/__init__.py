"""Runs as traces: read from the database when they have ended, and sent until they have arrived."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Event

from sqlalchemy import Engine

from services.task_controller.settings import Settings
from shared.tracing import open_exporter, resource

SERVICE = "lossline-task-controller"


@contextmanager
def traces(engine: Engine, settings: Settings) -> Iterator[Mapping[str, Callable[[Event], None]]]:
    """The loop that sends them, by its name; none where no exporter is configured."""
    if not settings.traced:
        yield {}
        return
    # Imported here: without an exporter, nothing of OpenTelemetry is loaded.
    from services.task_controller.tracing.sending import send
    from services.task_controller.tracing.traces import Traces

    with open_exporter() as exporter:
        yield {"traces": Traces(engine, partial(send, exporter, resource(SERVICE))).run}
