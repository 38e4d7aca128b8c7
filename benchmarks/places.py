"""Broker and database of a benchmark: one node with a virtual host for each side, one server with a database for each.

Both sides of a comparison share them, durable as the platform has them.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.embedded.layout import Layout
from services.embedded.postgres import EmbeddedPostgres
from services.embedded.rabbitmq import PrivateBroker
from services.embedded.rabbitmq_settings import Identity, identity_of, write_private


@dataclass(frozen=True)
class Places:
    """Where database and broker are, and where files go."""

    layout: Layout
    database_server: EmbeddedPostgres
    broker_node: PrivateBroker

    def database(self, name: str) -> str:
        """The URL of a database, which is made if it is not there."""
        self.database_server.create_database(name)
        return self.database_server.url(name)

    def broker(self, vhost: str) -> str:
        """The URL of one of the virtual hosts."""
        return url_of(self.broker_node, vhost)


@contextmanager
def open_places(vhosts: Sequence[str]) -> Iterator[Places]:
    """Start a broker with these virtual hosts and a database server in a folder of their own; remove all afterwards."""
    with tempfile.TemporaryDirectory(prefix="lossline-benchmark-") as folder:
        home = Path(folder)
        home.chmod(0o711)  # the database server's own account passes through it
        layout = Layout(home).create()
        with (
            EmbeddedPostgres(layout.postgres, layout.logs / "postgres.log") as database,
            broker_with(vhosts, layout.rabbitmq, layout.logs / "rabbitmq.log") as broker,
        ):
            yield Places(layout, database, broker)


def broker_with(vhosts: Sequence[str], folder: Path, log: Path) -> PrivateBroker:
    """A broker, to be entered, that has these virtual hosts beside its own at every start."""
    definitions = folder.with_name("definitions.json")
    folder.mkdir(parents=True, exist_ok=True)
    write_private(definitions, json.dumps(_definitions(identity_of(folder), vhosts)))
    return PrivateBroker(folder, log, extra_config=f"load_definitions = {definitions}")


def url_of(broker: PrivateBroker, vhost: str) -> str:
    """The URL of one of the virtual hosts."""
    return f"{broker.url.rpartition('/')[0]}/{vhost}"


def _definitions(identity: Identity, vhosts: Sequence[str]) -> dict[str, object]:
    """What the node imports at boot. It makes no default user then, so the user is here too."""
    names = ("/", *vhosts)
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [{"name": identity.user, "password": identity.password, "tags": "administrator"}],
        "vhosts": [{"name": name} for name in names],
        "permissions": [{"user": identity.user, "vhost": name, **everything} for name in names],
    }
