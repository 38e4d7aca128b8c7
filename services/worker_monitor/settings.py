"""Settings of the worker monitor, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import URL

from services.worker_monitor.retention import Retention
from shared.core.retries import RetryPolicy
from shared.object_store import ObjectStoreSettings
from shared.settings import Options, broker_prepared, broker_url, database_url


@dataclass(frozen=True)
class Settings:
    """Durations in seconds."""

    database: URL
    broker: str = field(repr=False)
    objects: ObjectStoreSettings
    prepared: bool = False
    """Whether the broker has all queues already, and ours are the only ones that we may declare."""
    health_port: int = 0
    health_host: str = "127.0.0.1"
    slots: int = 2
    """Sub-tasks recorded at a time."""
    grace: float = 10.0
    """How long sub-tasks may go on after SIGTERM."""
    beat_every: float = 2.0
    sweep_every: float = 60.0
    keep_released: float = 86_400.0
    """How long a file that nobody owns any more is kept."""
    orphans_every: float = 21_600.0
    orphans_after: float = 86_400.0
    """How long an object may be there before its row is."""
    retention: Retention = field(default_factory=Retention)
    audit_days: int = 365
    """How long entries of the audit are kept; 0 is for ever."""
    policy: RetryPolicy = field(default_factory=RetryPolicy)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """From the environment. Raises BadSetting, InvalidObjectStoreSettings."""
        options = Options("WORKER_MONITOR", environ)
        return cls(
            database=database_url(environ),
            broker=broker_url(environ),
            prepared=broker_prepared(environ),
            objects=ObjectStoreSettings.from_lookup(options.secret),
            health_port=options.integer("HEALTH_PORT", 0),
            health_host=options.text("HEALTH_HOST", cls.health_host),
            slots=options.integer("SLOTS", 2, least=1),
            grace=options.seconds("GRACE", 10.0),
            beat_every=options.seconds("BEAT_EVERY", 2.0),
            sweep_every=options.seconds("SWEEP_EVERY", 60.0),
            keep_released=options.seconds("KEEP_RELEASED", 86_400.0),
            orphans_every=options.seconds("ORPHANS_EVERY", 21_600.0),
            orphans_after=options.seconds("ORPHANS_AFTER", 86_400.0),
            audit_days=options.integer("AUDIT_KEPT_DAYS", 365),
            retention=Retention(
                runs=options.integer("RUNS_KEPT", 10),
                days=options.integer("RUNS_KEPT_DAYS", 30),
                resumable_for=timedelta(seconds=options.seconds("RESUMABLE_FOR", 86_400.0)),
            ),
        )
