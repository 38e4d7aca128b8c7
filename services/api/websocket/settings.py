"""The settings of the websocket server, read once. Source: oasis_api.md section 7."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from sqlalchemy import URL

from services.api.settings import AuthSettings, auth_settings, refuse_known_secrets
from shared.settings import Options, database_url


@dataclass(frozen=True)
class WebsocketSettings:
    """Durations in seconds."""

    database: URL
    auth: AuthSettings
    host: str = "127.0.0.1"
    port: int = 8001
    health_port: int = 0
    health_host: str = "127.0.0.1"
    pace: float = 0.25
    """The least time between two messages to one client."""
    look_every: float = 0.5
    """The longest time between two looks at the database while anybody listens; NOTIFY shortens it."""
    repeat_every: float = 60.0
    """How often the status is sent though nothing has changed."""
    ping_every: float = 20.0
    patience: float = 20.0
    """How long a client may take to receive a message, or to answer a ping."""
    analysis_status_open: bool = False
    log_level: str = "INFO"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Raises BadSetting or InsecureSettings."""
        options = Options("SERVER", environ)
        settings = cls(
            database=database_url(environ),
            auth=auth_settings(options),
            host=options.text("WEBSOCKET_HOST", cls.host),
            port=options.integer("WEBSOCKET_PORT", cls.port),
            health_port=options.integer("WEBSOCKET_HEALTH_PORT", cls.health_port),
            health_host=options.text("HEALTH_HOST", cls.health_host),
            pace=options.seconds("WEBSOCKET_PACE", cls.pace),
            look_every=options.seconds("WEBSOCKET_LOOK_EVERY", cls.look_every),
            repeat_every=options.seconds("WEBSOCKET_REPEAT_EVERY", cls.repeat_every),
            ping_every=options.seconds("WEBSOCKET_PING_EVERY", cls.ping_every),
            patience=options.seconds("WEBSOCKET_PATIENCE", cls.patience),
            analysis_status_open=options.flag("ANALYSIS_STATUS_OPEN", default=False),
            log_level=options.text("LOG_LEVEL", cls.log_level).upper(),
        )
        refuse_known_secrets(options.text("WEBSOCKET_PUBLISHED_HOST", settings.host), settings.auth)
        return settings
