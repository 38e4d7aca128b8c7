"""How commands reach a platform: by the variables that services read, or by what `lossline up` says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import URL

from services.embedded.errors import EmbeddedError
from services.embedded.layout import Layout
from services.embedded.running import NotRunning, find_running, running_file
from shared.broker.pika_values import parameters_of
from shared.object_store import InvalidObjectStoreSettings, ObjectStoreSettings
from shared.settings import BadSetting, Options, broker_url, database_url, trusted

_NAMED = "the one that the environment names"
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - what the API listens on, not we


class NothingToReach(EmbeddedError):
    """No platform is known to this command."""

    def __init__(self, looked_for: Path) -> None:
        super().__init__(
            f"No platform to look at: no `lossline up` runs on this machine (there is no {looked_for}), and no "
            "variable names one. Start `lossline up`, or set OASIS_CELERY_BROKER_URL, OASIS_SERVER_DB_HOST and the "
            "others as the services have them."
        )


class BadAddress(EmbeddedError):
    """A setting that says where the platform is cannot be used."""


@dataclass(frozen=True)
class Reach:
    """One platform. `layout` is that of a `lossline up` of this machine, None for any other.

    `authorities`: the file that certificates of API and websocket server are checked by; None for the usual one.
    """

    said: str
    database: URL
    broker: str = field(repr=False)
    store: ObjectStoreSettings = field(repr=False)
    api: str
    websocket: str
    layout: Layout | None = None
    authorities: str | None = None


def find_platform(environ: Mapping[str, str], api: str | None = None) -> Reach:
    """The platform that the environment names, else that of `lossline up`; `api` replaces the address of its API.

    Raises NothingToReach, NotRunning, UnreadableRunningFile, BadAddress.
    """
    layout = Layout.from_env(environ)
    if names_broker(environ):
        return _reach(_NAMED, environ, api)
    try:
        running = find_running(layout)
    except NotRunning:
        if not names_database(environ):
            raise
        running = None
    if running is not None:
        said = f"`lossline up` on this machine (process {running.pid})"
        return _reach(said, running.environ, api or running.api, layout)
    if names_database(environ):
        return _reach(_NAMED, environ, api)
    raise NothingToReach(running_file(layout))


def names_broker(environ: Mapping[str, str]) -> bool:
    """Whether variables say where a broker is. Raises BadAddress."""
    options = Options("CELERY", environ)
    try:
        return bool(options.secret("BROKER_URL") or options.get("RABBIT_HOST"))
    except OSError as error:
        raise BadAddress(f"The file with the broker's URL cannot be read: {error}") from error


def names_database(environ: Mapping[str, str]) -> bool:
    """Whether variables say where a database is."""
    return bool(Options("SERVER", environ).get("DB_HOST"))


def broker_place(url: str) -> str:
    """Host and port of a broker's URL: what may be shown of it."""
    parts = urlsplit(url)
    return f"{parts.hostname or '127.0.0.1'}:{parts.port or 5672}"


def database_place(url: URL) -> str:
    """Host, port and name of a database: what may be shown of its URL."""
    host = url.host or str(url.query.get("host", "127.0.0.1"))
    return f"{host}{f':{url.port}' if url.port else ''}/{url.database}"


def _reach(said: str, environ: Mapping[str, str], api: str | None, layout: Layout | None = None) -> Reach:
    options = Options("SERVER", environ)
    try:
        broker = broker_url(environ)
        parameters_of(broker, "", 0)
        store = ObjectStoreSettings.from_lookup(options.secret)
        address = api or _api_of(options)
        websocket = _websocket_of(options, address)
        authorities = trusted(options, "API_SSL_CA_CERTS")
        return Reach(said, database_url(environ), broker, store, address, websocket, layout, authorities)
    except (BadSetting, InvalidObjectStoreSettings, OSError) as error:
        raise BadAddress(str(error)) from error
    except (ValueError, IndexError) as error:
        # Not the URL itself: it holds a password.
        raise BadAddress(f"The broker's URL is not of the form amqp://user:password@host:port/ ({error}).") from None


def _websocket_of(options: Options, api: str) -> str:
    """Where it answers health checks; on the API's machine, where nothing else is said."""
    host = options.text("WEBSOCKET_HOST", "")
    if host in _EVERY_ADDRESS:
        host = urlsplit(api).hostname or "127.0.0.1"
    return f"{_scheme(options)}://{host}:{options.integer('WEBSOCKET_PORT', 8001, least=1)}/"


def _api_of(options: Options) -> str:
    host = options.text("API_HOST", "127.0.0.1")
    place = "127.0.0.1" if host in _EVERY_ADDRESS else host
    return f"{_scheme(options)}://{place}:{options.integer('API_PORT', 8000, least=1)}/"


def _scheme(options: Options) -> str:
    return "https" if options.flag("API_SECURE", default=False) else "http"
