"""`lossline prepare`: an empty database, folder and broker become those of a platform, as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, inspect, make_url

from services.embedded.ports import free_port
from services.embedded.preparing import NotPrepared, prepare
from shared.broker.pika_client import BlockingBroker
from shared.topology import PLATFORM
from tests.fakes.database import DatabaseServer

NAMES = [queue.name for queue in PLATFORM.queues]


@pytest.fixture
def empty(server: DatabaseServer) -> Iterator[URL]:
    """A database without any table."""
    with server.empty() as url:
        yield url


def variables(database: URL, broker: str, objects: Path) -> dict[str, str]:
    return {
        "OASIS_CELERY_BROKER_URL": broker,
        "OASIS_SERVER_DB_HOST": str(database.query.get("host") or database.host),
        "OASIS_SERVER_DB_NAME": str(database.database),
        "OASIS_SERVER_DB_USER": str(database.username),
        **({"OASIS_SERVER_DB_PORT": str(database.port)} if database.port else {}),
        **({"OASIS_SERVER_DB_PASS": str(database.password)} if database.password else {}),
        "OASIS_STORAGE_TYPE": "local-fs",
        "OASIS_MEDIA_ROOT": str(objects),
    }


def tables_of(database: URL) -> list[str]:
    engine = create_engine(database)
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


@pytest.mark.integration
def test_what_was_empty_has_schema_and_queues_and_keeps_them(empty: URL, rabbit_url: str, tmp_path: Path) -> None:
    environ, said = variables(empty, rabbit_url, tmp_path), list[str]()
    # When it is done twice, as at every start of the services
    prepare(environ, 20, said.append)
    prepare(environ, 20, said.append)
    # Then each part was named, without its password
    assert len(said) == 6
    assert said[:3] == said[3:]
    assert str(make_url(rabbit_url).password) not in "".join(said)
    assert {"runs", "outbox", "alembic_version"} <= set(tables_of(empty))
    with BlockingBroker(rabbit_url, "tests") as broker:
        broker.wait_connected(20)
        assert set(broker.queue_depths(NAMES)) == set(NAMES)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"OASIS_SERVER_DB_HOST": "127.0.0.1", "OASIS_SERVER_DB_PORT": "{port}"}, "database 127.0.0.1:{port}/"),
        ({"OASIS_MEDIA_ROOT": "/nowhere/at/all"}, "The object store cannot be used: "),
        ({"OASIS_CELERY_BROKER_URL": "amqp://u:hidden@127.0.0.1:{port}/"}, "broker at 127.0.0.1:{port} cannot be used"),
    ],
)
def test_a_part_that_does_not_answer_is_named(
    database: URL, rabbit_url: str, tmp_path: Path, change: dict[str, str], says: str
) -> None:
    port = str(free_port())
    environ = variables(database, rabbit_url, tmp_path)
    environ |= {name: value.replace("{port}", port) for name, value in change.items()}
    with pytest.raises(NotPrepared) as refused:
        prepare(environ, 0.5, lambda _: None)
    assert says.replace("{port}", port) in str(refused.value)
    assert "hidden" not in str(refused.value)
