"""Settings of the task controller, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import URL

from shared.core.retries import RetryPolicy
from shared.settings import Options, broker_url, database_url
from shared.tracing import traces_wanted


@dataclass(frozen=True)
class Settings:
    """Durations in seconds."""

    database: URL
    broker: str = field(repr=False)
    health_port: int = 0
    health_host: str = "127.0.0.1"
    lease: float = 10.0
    reconcile_every: float = 3.0
    reaper_looks_every: float = 1.0
    batch: int = 256
    traced: bool = False
    """Whether an exporter of traces is configured."""
    policy: RetryPolicy = field(default_factory=RetryPolicy)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """From the environment. Raises BadSetting."""
        options = Options("TASK_CONTROLLER", environ)
        return cls(
            database=database_url(environ),
            broker=broker_url(environ),
            health_port=options.integer("HEALTH_PORT", 0),
            health_host=options.text("HEALTH_HOST", cls.health_host),
            lease=options.seconds("LEASE", 10.0),
            reconcile_every=options.seconds("RECONCILE_EVERY", 3.0),
            reaper_looks_every=options.seconds("REAPER_LOOKS_EVERY", 1.0),
            traced=traces_wanted(environ),
            policy=RetryPolicy(self_fence=options.seconds("SELF_FENCE", 300.0)),
        )
