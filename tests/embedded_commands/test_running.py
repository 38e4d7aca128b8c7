"""How commands find the platform that `lossline up` runs, and what they say when there is none."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from services.embedded.layout import Layout
from services.embedded.reach import BadAddress, NothingToReach, broker_place, database_place, find_platform
from services.embedded.running import NotRunning, UnreadableRunningFile, announced, find_running, running_file
from shared.object_store import DirectorySettings, S3Settings
from shared.settings import database_url
from tests.embedded.living import Command

API = "http://127.0.0.1:8000/"
SERVICES = {
    "OASIS_BROKER_URL": "amqp://u:secret@127.0.0.1:5001/",
    "OASIS_SERVER_DB_HOST": "/run/postgres",
    "OASIS_SERVER_DB_NAME": "lossline",
    "OASIS_STORAGE_TYPE": "local-fs",
    "OASIS_MEDIA_ROOT": "/objects",
    "PATH": "/bin",
}


@pytest.fixture
def at_home(layout: Layout) -> dict[str, str]:
    """An environment that names nothing but the home."""
    return {"LOSSLINE_HOME": str(layout.home)}


def test_a_running_platform_is_found_with_the_addresses_of_its_services(
    layout: Layout, at_home: dict[str, str]
) -> None:
    with announced(layout, API, SERVICES):
        reach = find_platform(at_home)
    assert reach.said == f"`lossline up` on this machine (process {os.getpid()})"
    assert (reach.broker, reach.api, reach.layout) == (SERVICES["OASIS_BROKER_URL"], API, layout)
    assert reach.database == database_url(SERVICES)
    assert reach.store.backend == DirectorySettings(Path("/objects"))
    assert reach.websocket == "http://127.0.0.1:8001/"
    assert "secret" not in repr(reach)


@pytest.mark.parametrize(
    ("said", "api", "websocket"),
    [
        ({}, "http://there:8000/api/", "http://there:8001/"),
        ({"OASIS_WEBSOCKET_HOST": "", "OASIS_WEBSOCKET_PORT": "9"}, "http://there/", "http://there:9/"),
        ({"OASIS_WEBSOCKET_HOST": "elsewhere"}, None, "http://elsewhere:8001/"),
    ],
)
def test_the_websocket_server_is_on_the_machine_of_the_api_unless_it_is_said_where(
    at_home: dict[str, str], said: dict[str, str], api: str | None, websocket: str
) -> None:
    assert find_platform(at_home | SERVICES | said, api).websocket == websocket


def test_the_file_is_the_owners_alone_and_goes_with_the_platform(layout: Layout) -> None:
    with announced(layout, API, SERVICES):
        assert stat.S_IMODE(running_file(layout).stat().st_mode) == 0o600
        told = json.loads(running_file(layout).read_text())
        assert told["pid"] == os.getpid()
        assert "PATH" not in told["environ"]
    assert [path for path in layout.home.iterdir() if "running" in path.name] == []
    assert find_running(layout) is None


def test_it_goes_too_when_the_platform_ends_with_an_error(layout: Layout) -> None:
    with pytest.raises(ZeroDivisionError), announced(layout, API, SERVICES):
        raise ZeroDivisionError
    assert not running_file(layout).exists()


def test_a_platform_that_was_killed_is_told_from_one_that_runs(layout: Layout, at_home: dict[str, str]) -> None:
    # Given a platform in a process of its own
    other = Command(f"""
        from pathlib import Path
        from services.embedded.layout import Layout
        from services.embedded.running import announced
        kept = announced(Layout(Path({str(layout.home)!r})), {API!r}, {{}})
        kept.__enter__()
    """)
    other.wait_until_up()
    running = find_running(layout)
    assert running is not None
    assert running.pid == other.process.pid
    # When it is killed
    other.close()
    # Then its file does not deceive
    with pytest.raises(
        NotRunning, match=rf"process {other.process.pid}\) is not running any more; start `lossline up`"
    ):
        find_platform(at_home)
    # And the next platform takes its place
    with announced(layout, API, SERVICES):
        assert find_platform(at_home).api == API


def test_a_file_that_is_broken_or_closed_to_us_is_named(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("", "[]", '{"pid": 1}', '{"pid": "x", "api": "", "environ": {}}'):
        running_file(layout).write_text(text)
        with pytest.raises(UnreadableRunningFile, match="it is not what `lossline up` writes"):
            find_running(layout)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadableRunningFile, match=r"Permission denied.*the account that started"):
        find_running(layout)


def test_without_any_platform_one_sentence_says_what_to_do(layout: Layout, at_home: dict[str, str]) -> None:
    with pytest.raises(NothingToReach, match=r"running\.json.*Start `lossline up`, or set OASIS_CELERY_BROKER_URL"):
        find_platform(at_home)


def test_variables_that_name_a_broker_win(layout: Layout, at_home: dict[str, str]) -> None:
    named = {"OASIS_RABBIT_HOST": "rabbit", "OASIS_SERVER_DB_HOST": "db", "OASIS_API_HOST": "::"}
    with announced(layout, API, SERVICES):
        reach = find_platform(at_home | named | {"OASIS_API_PORT": "9000"})
    assert reach.said == "the one that the environment names"
    assert broker_place(reach.broker) == "rabbit:5672"
    assert database_place(reach.database) == "db:5432/lossline"
    assert (reach.api, reach.layout) == ("http://127.0.0.1:9000/", None)


def test_a_database_alone_names_a_platform_only_where_none_runs(layout: Layout, at_home: dict[str, str]) -> None:
    named = at_home | {"OASIS_SERVER_DB_HOST": "db"}
    assert find_platform(named).layout is None
    with announced(layout, API, SERVICES):
        assert find_platform(named).layout == layout
    running_file(layout).write_text(json.dumps({"pid": 1, "api": API, "environ": {}}))
    assert find_platform(named).layout is None


def test_an_address_of_the_api_may_be_given(at_home: dict[str, str]) -> None:
    named = at_home | {"OASIS_RABBIT_HOST": "rabbit"}
    assert find_platform(named, "https://oasis.example/").api == "https://oasis.example/"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"OASIS_BROKER_URL": "nonsense"}, "amqp://user:password@host:port/"),
        ({"OASIS_BROKER_URL": "amqp://u:hidden@h:port/"}, "amqp://user:password@host:port/"),
        ({"OASIS_BROKER_URL_FILE": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"OASIS_RABBIT_HOST": "h", "OASIS_SERVER_DB_PORT": "many"}, "OASIS_SERVER_DB_PORT"),
        ({"OASIS_RABBIT_HOST": "h", "OASIS_STORAGE_TYPE": "tape"}, "STORAGE_TYPE"),
        ({"OASIS_RABBIT_HOST": "h", "OASIS_SERVER_DB_PASS_FILE": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_no_secret_shown(
    at_home: dict[str, str], wrong: dict[str, str], says: str
) -> None:
    with pytest.raises(BadAddress) as raised:
        find_platform(at_home | wrong)
    assert says in str(raised.value)
    assert "hidden" not in str(raised.value)


def test_a_bucket_is_read_as_the_services_do(at_home: dict[str, str]) -> None:
    named = at_home | {"OASIS_RABBIT_HOST": "h", "OASIS_STORAGE_TYPE": "s3", "OASIS_AWS_BUCKET_NAME": "losses"}
    backend = find_platform(named).store.backend
    assert isinstance(backend, S3Settings)
    assert backend.bucket == "losses"
