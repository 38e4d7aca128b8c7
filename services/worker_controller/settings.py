"""Settings of the worker controller, read once. Source: oasis_api.md section 7.4."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from services.worker_controller.addresses import Addresses
from services.worker_controller.pacing import Pacing
from services.worker_controller.plan import Rules
from services.worker_controller.rules import Limits
from shared.settings import BadSetting, Options, broker_prepared, broker_url, trusted
from shared.tls import TlsFiles

FLEETS = ("process", "docker", "swarm")


@dataclass(frozen=True)
class Settings:
    """Durations in seconds."""

    broker: str = field(repr=False)
    addresses: Addresses
    credentials: Mapping[str, str] = field(repr=False)
    models_file: Path
    fleet: str
    state: Path
    logs: Path
    rules: Rules
    namespace: str = "default"
    scaling_age: float = 10.0
    every: float = 2.0
    lifeline: int = 0
    stop_workers: bool = False
    stop_within: float = 60.0
    prepared: bool = False
    """Whether the broker has all queues already, and we may declare none."""
    tls: TlsFiles | None = None
    """By what the certificates of API and websocket server are checked; None where they are reached without TLS."""
    health_port: int = 0
    health_host: str = "127.0.0.1"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """From the environment. Raises BadSetting, OSError."""
        options = Options("WORKER_CONTROLLER", environ)
        models = options.text("MODELS_FILE", "")
        if not models:
            raise BadSetting("OASIS_WORKER_CONTROLLER_MODELS_FILE", "", "the file that says how workers are started")
        fleet = options.text("FLEET", "process")
        if fleet not in FLEETS:
            raise BadSetting("OASIS_WORKER_CONTROLLER_FLEET", fleet, " or ".join(FLEETS))
        state = Path(options.text("STATE", "/var/lib/lossline/fleet"))
        always = options.flag("CONTINUE_UPDATE_SCALING", default=False)
        return cls(
            broker=broker_url(environ),
            addresses=_addresses(options),
            credentials=_credentials(options),
            models_file=Path(models),
            fleet=fleet,
            state=state,
            logs=Path(options.text("LOGS", str(state.parent / "fleet-logs"))),
            rules=_rules(options),
            namespace=options.text("CLUSTER_NAMESPACE", cls.namespace),
            scaling_age=0.0 if always else options.seconds("SCALING_AGE", cls.scaling_age),
            every=options.seconds("EVERY", cls.every),
            lifeline=options.integer("LIFELINE", 0),
            stop_workers=options.flag("STOP_WORKERS", default=False),
            stop_within=options.seconds("STOP_WITHIN", cls.stop_within),
            prepared=broker_prepared(environ),
            tls=_tls(options),
            health_port=options.integer("HEALTH_PORT", 0),
            health_host=options.text("HEALTH_HOST", cls.health_host),
        )


def _addresses(options: Options) -> Addresses:
    return Addresses(
        api_host=options.text("API_HOST", "localhost"),
        api_port=_port(options, "API_PORT", "8000"),
        api_path=options.text("API_SUBPATH", ""),
        websocket_host=options.text("WEBSOCKET_HOST", "localhost"),
        websocket_port=_port(options, "WEBSOCKET_PORT", "8001"),
        secure=options.flag("API_SECURE", default=False),
    )


def _tls(options: Options) -> TlsFiles | None:
    files = TlsFiles(trusted(options, "API_SSL_CA_CERTS"))
    return files if options.flag("API_SECURE", default=False) else None


def _port(options: Options, name: str, default: str) -> str:
    """Empty where the host stands for itself, behind a proxy."""
    text = options.get(name)
    if text is None:
        return default
    if text.strip() and not text.strip().isdecimal():
        raise BadSetting(f"OASIS_{name}", text, "a port, or to nothing where the host needs none")
    return text.strip()


def _credentials(options: Options) -> Mapping[str, str]:
    """The fields of the login's form. Any text but none of OASIS_USE_OIDC means yes, as in the reference."""
    name, secret = options.text("SERVICE_USERNAME_OR_ID", ""), options.secret("SERVICE_PASSWORD_OR_SECRET") or ""
    if options.text("USE_OIDC", ""):
        return {"client_id": name, "client_secret": secret}
    return {"username": name or "admin", "password": secret or "password"}


def _rules(options: Options) -> Rules:
    limits = Limits(
        workers=_limit(options, "TOTAL_WORKER_LIMIT"),
        models=_limit(options, "PRIORITIZED_MODELS_LIMIT"),
        never_shut_down_fixed=options.flag("NEVER_SHUTDOWN_FIXED_WORKERS", default=False),
    )
    pacing = Pacing(
        shrink_after=options.seconds("SHRINK_AFTER", Pacing.shrink_after),
        idle_after=options.seconds("IDLE_AFTER", Pacing.idle_after),
    )
    return Rules(
        limits,
        pacing,
        start_within=options.seconds("START_WITHIN", Rules.start_within),
        v1_workers=options.integer("V1_WORKERS", 1) or None,
    )


def _limit(options: Options, name: str) -> int | None:
    """A whole number; none where the option is absent or empty."""
    return options.integer(name, 0, least=1) if options.text(name, "") else None
