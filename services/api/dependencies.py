"""What the handlers work with, built once by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from services.api.oidc.provider import Provider
from services.api.settings import ApiSettings
from shared.object_store import ObjectStore

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


@dataclass(frozen=True)
class Dependencies:
    """Everything that outlives a request. `check_broker` returns if the broker answers, and raises otherwise."""

    settings: ApiSettings
    engine: Engine
    store: ObjectStore
    check_broker: Callable[[], None]
    provider: Provider | None = None
    tracer: "Tracer | None" = None
    """Makes the spans of requests, where an exporter is configured."""
    followers: BoundedSemaphore = field(init=False)
    """As many as may follow a log at a time: each takes a thread."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "followers", BoundedSemaphore(self.settings.most_followers))
