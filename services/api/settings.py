"""The settings of the API, read once. Source: oasis_api.md section 7.1."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from sqlalchemy import URL

from services.api.auth.limits import LoginLimits
from services.api.oidc.settings import OidcSettings, auth_kind, read_oidc
from services.api.presigned_settings import PresignedSettings
from shared.object_store import ObjectStoreSettings
from shared.settings import BadSetting, Options, broker_url, database_url
from shared.tracing import traces_wanted

KNOWN_SECRETS = frozenset(
    {"password", "admin", "secret", "changeme", "OmuudYrSFVxcIVIWf6YlYdkP6NXApP", "JsVzvtWw2EwksaYCZsMmd2zmm"}
)
"""Secrets that anybody can read in the documentation or the sources of an Oasis platform."""

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class InsecureSettings(Exception):
    """The service would be open to everybody who can reach it."""


@dataclass(frozen=True)
class Administrator:
    """The account that is made, or brought up to date, at start."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class AuthSettings:
    """How requests are authenticated: `simple` (JWT and Basic), `disabled`, or by the provider of that name."""

    kind: str = "simple"
    signing_key: str = field(default="", repr=False)
    access_lifetime: timedelta = timedelta(hours=1)
    refresh_lifetime: timedelta = timedelta(days=2)
    rotate_refresh: bool = True
    administrator: Administrator | None = None
    login_limits: LoginLimits = field(default_factory=LoginLimits)
    oidc: OidcSettings | None = None

    @property
    def disabled(self) -> bool:
        """Whether everybody may do everything."""
        return self.kind == "disabled"


@dataclass(frozen=True)
class ApiSettings:
    """Everything that the API reads from its environment."""

    database: URL
    store: ObjectStoreSettings
    broker: str = field(repr=False)
    auth: AuthSettings
    host: str = "127.0.0.1"
    port: int = 8000
    threads: int = 8
    stop_timeout: int = 30
    """Seconds that requests under way are given when the service stops."""
    most_followers: int = 4
    follow_for: float = 300.0
    proxies: int = 0
    """Proxies in front that say in X-Forwarded-For whom they answer."""
    upload_limit: int = 0
    """Bytes of an uploaded file; 0 sets no limit."""
    json_limit: int = 64 * 1024 * 1024
    """Bytes of a JSON body, and of a form without a file."""
    priority_admin_levels: tuple[int, ...] = (8, 9, 10)
    restrict_system_logs: bool = False
    analysis_status_open: bool = False
    """Whether workers of somebody else may tell of progress without credentials."""
    parquet_storage: bool = False
    """Whether exposure that comes as csv is kept as parquet."""
    presigned: PresignedSettings = field(default_factory=PresignedSettings)
    disable_v2: bool = False
    traced: bool = False
    """Whether an exporter of traces is configured."""
    oed_version: str | None = None
    log_level: str = "INFO"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Raises BadSetting, InvalidObjectStoreSettings or InsecureSettings."""
        options = Options("SERVER", environ)
        threads = options.integer("API_THREADS", cls.threads, least=1)
        settings = cls(
            database=database_url(environ),
            store=ObjectStoreSettings.from_lookup(options.secret),
            broker=broker_url(environ),
            auth=auth_settings(options),
            host=options.text("API_HOST", cls.host),
            port=options.integer("API_PORT", cls.port),
            threads=threads,
            stop_timeout=options.integer("API_STOP_TIMEOUT", cls.stop_timeout, least=1),
            most_followers=options.integer("API_FOLLOWERS", threads // 2),
            follow_for=options.seconds("API_FOLLOW_FOR", cls.follow_for),
            proxies=options.integer("API_PROXIES", cls.proxies),
            upload_limit=options.integer("UPLOAD_LIMIT", cls.upload_limit),
            json_limit=options.integer("JSON_LIMIT", cls.json_limit, least=1024),
            priority_admin_levels=_levels(options),
            restrict_system_logs=options.flag("RESTRICT_SYSTEM_LOGS", default=False),
            analysis_status_open=options.flag("ANALYSIS_STATUS_OPEN", default=False),
            parquet_storage=options.flag("PORTFOLIO_PARQUET_STORAGE", default=False),
            presigned=PresignedSettings.from_options(options),
            disable_v2=options.flag("DISABLE_V2_API", default=False),
            traced=traces_wanted(environ),
            oed_version=options.get("OED_SCHEMA_INFO"),
            log_level=options.text("LOG_LEVEL", cls.log_level).upper(),
        )
        # Within a container a service listens everywhere; what counts is where the engine leads to it from.
        refuse_known_secrets(options.text("API_PUBLISHED_HOST", settings.host), settings.auth)
        return settings


def auth_settings(options: Options) -> AuthSettings:
    """How callers are authenticated; the websocket server reads the same. Raises BadSetting."""
    kind = auth_kind(options)
    key = options.secret("TOKEN_SIGINING_KEY") or options.secret("SECRET_KEY") or ""
    if kind != "disabled" and not key:
        raise BadSetting(
            "OASIS_SERVER_SECRET_KEY", "", "a random text that only this service knows; it signs the tokens"
        )
    return AuthSettings(
        kind=kind,
        signing_key=key,
        access_lifetime=_duration(options, "TOKEN_ACCESS_LIFETIME", AuthSettings.access_lifetime),
        refresh_lifetime=_duration(options, "TOKEN_REFRESH_LIFETIME", AuthSettings.refresh_lifetime),
        rotate_refresh=options.flag("TOKEN_REFRESH_ROTATE", default=True),
        administrator=_administrator(options) if kind in ("simple", "disabled") else None,
        oidc=read_oidc(options, kind),
        login_limits=LoginLimits(
            options.integer("LOGIN_FAILURES", LoginLimits.failures),
            _duration(options, "LOGIN_WINDOW", LoginLimits.window),
        ),
    )


def _administrator(options: Options) -> Administrator | None:
    if options.get("USE_OIDC"):
        return None
    username = options.get("SERVICE_USERNAME_OR_ID") or options.get("ADMIN_USER")
    password = options.secret("SERVICE_PASSWORD_OR_SECRET") or options.secret("ADMIN_PASS")
    return Administrator(username, password) if username and password else None


def _duration(options: Options, name: str, default: timedelta) -> timedelta:
    text = options.get(name)
    if not text:
        return default
    try:
        parts = dict(part.split("=", 1) for part in text.split(","))
        duration = timedelta(**{unit.strip(): float(value) for unit, value in parts.items()})
    except (ValueError, TypeError, OverflowError):
        duration = timedelta(0)
    if duration <= timedelta(0):
        raise BadSetting(f"OASIS_SERVER_{name}", text, "a duration like hours=1,minutes=5")
    return duration


def _levels(options: Options) -> tuple[int, ...]:
    text = options.text("ANALYSIS_PRIORITY_ADMIN_LEVELS", "[8, 9, 10]")
    try:
        return tuple(int(level) for level in json.loads(text))
    except (ValueError, TypeError):
        raise BadSetting("OASIS_SERVER_ANALYSIS_PRIORITY_ADMIN_LEVELS", text, "a list like [8, 9, 10]") from None


def refuse_known_secrets(host: str, auth: AuthSettings) -> None:
    """Raises InsecureSettings where a service that others can reach has secrets that everybody knows."""
    if host in LOCAL_HOSTS or auth.disabled:
        return
    if auth.signing_key in KNOWN_SECRETS:
        raise InsecureSettings(
            f"The signing key is a well-known one and the API would listen on {host}: "
            "set OASIS_SERVER_SECRET_KEY to a random text."
        )
    if auth.oidc is not None and auth.oidc.secret in KNOWN_SECRETS:
        raise InsecureSettings(
            f"The secret of the client is a well-known one and the API would listen on {host}: "
            "give client and OASIS_SERVER_OIDC_CLIENT_SECRET another one."
        )
    if auth.administrator and auth.administrator.password in KNOWN_SECRETS:
        raise InsecureSettings(
            f"The administrator's password is a well-known one and the API would listen on {host}: "
            "set OASIS_SERVICE_PASSWORD_OR_SECRET to another one."
        )
