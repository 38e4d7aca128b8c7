"""The wires between services and their broker and database: every service has two of its own, and both can break."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from services.embedded.postgres import EmbeddedPostgres
from services.embedded.rabbitmq import PrivateBroker
from tests.fakes.tcp_proxy import TcpProxy

WITH_DATABASE = ("api", "task-controller", "worker-monitor")
BROKER, DATABASE = "broker", "database"


class SocketProxy(TcpProxy):
    """A proxy to the Unix socket of the embedded PostgreSQL, for clients that speak TCP."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__("", 0)

    def _connect(self) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.settimeout(5)
            server.connect(str(self._path))
        except OSError:
            server.close()
            raise
        return server


@dataclass(frozen=True)
class Wires:
    """The proxies, by (service, `broker` or `database`)."""

    proxies: dict[tuple[str, str], TcpProxy]
    broker_url: str
    database_url: str

    def of(self, service: str, to: str) -> TcpProxy:
        """One wire."""
        return self.proxies[service, to]

    def broker(self, service: str) -> str:
        """The URL by which a service reaches the broker."""
        head, _, tail = self.broker_url.rpartition("@")
        return f"{head}@127.0.0.1:{self.of(service, BROKER).port}/{tail.partition('/')[2]}"

    def database(self, service: str) -> str:
        """The URL by which a service reaches the database."""
        url = make_url(self.database_url)
        port = self.of(service, DATABASE).port
        return url.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)

    def forward(self) -> None:
        """Mend all."""
        for proxy in self.proxies.values():
            proxy.forward()


@contextmanager
def open_wires(
    services: tuple[str, ...], broker: PrivateBroker, postgres: EmbeddedPostgres, database: str
) -> Iterator[Wires]:
    """A wire to the broker for each service, and one to the database for those that have one."""
    url = postgres.url(database)
    path = Path(str(make_url(url).query["host"])) / ".s.PGSQL.5432"
    with ExitStack() as opened:
        proxies: dict[tuple[str, str], TcpProxy] = {}
        for service in services:
            proxies[service, BROKER] = opened.enter_context(TcpProxy("127.0.0.1", broker.port))
            if service in WITH_DATABASE:
                proxies[service, DATABASE] = opened.enter_context(SocketProxy(path))
        yield Wires(proxies, broker.url, url)
