"""Registering models: what a model worker says at its start becomes a model, once, however often it is said."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from services.worker_monitor.errors import BadRegistration
from services.worker_monitor.registration import register
from services.worker_monitor.registrations import Registrations
from shared import names
from shared.broker.port import OutgoingMessage
from shared.database.resources import File, Model, ModelChunking, ModelScaling, User
from shared.messages.catalogue import RegisterModel, StopRun
from shared.messages.envelope import encode
from shared.object_store.directory import DirectoryStore
from shared.topology import PLATFORM
from tests.fakes.broker import MemoryBroker, MemoryServer
from tests.worker_monitor.history import eventually

SETTINGS = {
    "version": "3",
    "model_settings": {
        "event_set": {
            "name": "Event set",
            "desc": "Which storms",
            "default": "p",
            "options": [{"id": "p", "desc": "Probabilistic", "number_of_events": 9}],
        }
    },
    "lookup_settings": {"supported_perils": [{"id": "WTC", "desc": "Wind"}]},
    "model_default_samples": 10,
}
MESSAGE = RegisterModel(
    "OasisLMF",
    "PiWind",
    "v1",
    "V2",
    settings=SETTINGS,
    versions={"oasislmf": "2.5.8", "ktools": None, "platform": "1.0", "ods-tools": "5.0", "oed-schema": "4.0"},
    oasislmf_config={"lookup_data_dir": "keys_data"},
)


@pytest.fixture(autouse=True)
def superuser(engine: Engine) -> int:
    """The first superuser; there is a second, and somebody before them."""
    with Session(engine) as session:
        session.add(User(username="user"))
        session.flush()
        first = User(username="admin", is_superuser=True)
        session.add(first)
        session.flush()
        session.add(User(username="other", is_superuser=True))
        session.commit()
        return first.id


def _model(engine: Engine) -> Any:
    with engine.connect() as connection:
        return connection.execute(select(Model.__table__)).one()


def _rows(engine: Engine, table: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(table.__table__)))


def _keys(store: DirectoryStore) -> set[str]:
    return {info.key for info in store.list("")}


def test_a_new_model_has_what_its_worker_said_and_default_options(
    engine: Engine, store: DirectoryStore, superuser: int
) -> None:
    model_id = register(engine, store, MESSAGE)

    model = _model(engine)
    assert (model.id, model.supplier_id, model.model_id, model.version_id) == (model_id, "OasisLMF", "PiWind", "v1")
    assert (model.run_mode, model.creator_id, model.deleted) == ("V2", superuser, False)
    assert (model.ver_oasislmf, model.ver_ktools, model.ver_platform) == ("2.5.8", None, "1.0")
    assert (model.ver_ods, model.ver_oed) == ("5.0", "4.0")
    assert model.oasislmf_config == {"lookup_data_dir": "keys_data"}
    assert [row.model_id for row in _rows(engine, ModelChunking)] == [model_id]
    assert [row.model_id for row in _rows(engine, ModelScaling)] == [model_id]


def test_valid_settings_are_a_file_and_a_document(engine: Engine, store: DirectoryStore) -> None:
    register(engine, store, MESSAGE)

    model, (file,) = _model(engine), _rows(engine, File)
    assert model.settings == SETTINGS
    assert model.settings_file_id == file.id
    assert (file.filename, file.content_type, file.released_at) == ("model_settings.json", "application/json", None)
    with store.open(file.key) as stream:
        stored = stream.read()
    assert (json.loads(stored), len(stored)) == (SETTINGS, file.size)


def test_registering_the_same_again_changes_nothing(engine: Engine, store: DirectoryStore) -> None:
    register(engine, store, MESSAGE)
    before = (_model(engine), _rows(engine, File), _keys(store))

    register(engine, store, MESSAGE)

    assert (_model(engine), _rows(engine, File), _keys(store)) == before


def test_two_workers_may_register_at_once(engine: Engine, store: DirectoryStore) -> None:
    with ThreadPoolExecutor(6) as pool:
        ids = list(pool.map(lambda _: register(engine, store, MESSAGE), range(6)))

    assert set(ids) == {_model(engine).id}
    (file,) = _rows(engine, File)
    assert _keys(store) == {file.key}
    assert len(_rows(engine, ModelScaling)) == 1


def test_a_deleted_model_is_revived(engine: Engine, store: DirectoryStore) -> None:
    model_id = register(engine, store, MESSAGE)
    with engine.begin() as connection:
        connection.execute(update(Model).values(deleted=True))

    assert register(engine, store, MESSAGE) == model_id

    assert _model(engine).deleted is False


def test_newer_settings_and_versions_replace_the_older(engine: Engine, store: DirectoryStore) -> None:
    register(engine, store, MESSAGE)
    old = _model(engine).settings_file_id
    newer = {**SETTINGS, "model_default_samples": 20}

    register(engine, store, replace(MESSAGE, settings=newer, versions={"oasislmf": "2.6.0"}))

    model, files = _model(engine), {file.id: file for file in _rows(engine, File)}
    assert model.settings == newer
    assert files[old].released_at is not None
    assert files[model.settings_file_id].released_at is None
    assert (model.ver_oasislmf, model.ver_ods) == ("2.6.0", "5.0")


def test_a_run_mode_that_somebody_chose_is_kept(engine: Engine, store: DirectoryStore) -> None:
    register(engine, store, MESSAGE)
    with engine.begin() as connection:
        connection.execute(update(Model).values(run_mode="V1"))

    register(engine, store, MESSAGE)

    assert _model(engine).run_mode == "V1"


@pytest.mark.parametrize("settings", [{"model_settings": {}}, {"model_settings": 1, "lookup_settings": {}}])
def test_a_model_with_invalid_settings_is_registered_without_them(
    engine: Engine, store: DirectoryStore, caplog: pytest.LogCaptureFixture, settings: dict[str, Any]
) -> None:
    register(engine, store, replace(MESSAGE, settings=settings))

    assert _model(engine).settings is None
    assert _keys(store) == set()
    (record,) = [record for record in caplog.records if record.message == "Model settings are invalid and left out"]
    assert any(key.startswith("model_settings_schema") for key in record.__dict__["errors"])


def test_a_model_is_registered_while_there_is_no_superuser(engine: Engine, store: DirectoryStore) -> None:
    with engine.begin() as connection:
        connection.execute(update(User).values(is_superuser=False))

    register(engine, store, MESSAGE)

    assert _model(engine).creator_id is None


@pytest.mark.parametrize("change", [{"supplier_id": ""}, {"model_id": "m" * 256}, {"run_mode": "V3"}])
def test_a_registration_that_makes_no_sense_is_refused(
    engine: Engine, store: DirectoryStore, change: dict[str, str]
) -> None:
    with pytest.raises(BadRegistration, match=next(iter(change))):
        register(engine, store, replace(MESSAGE, **change))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (encode(StopRun("r")), "StopRun does not belong on this queue"),
        (encode(replace(MESSAGE, run_mode="V3")), "run_mode must be V1 or V2"),
        (encode(replace(MESSAGE, oasislmf_config={"nul": "\x00"})), "cannot be handled"),
    ],
    ids=["unreadable", "another message", "refused", "not storable"],
)
def test_what_cannot_be_registered_is_parked_with_the_reason_and_the_next_is_heard(
    engine: Engine, store: DirectoryStore, body: bytes, reason: str
) -> None:
    server, stopping = MemoryServer(), Event()
    with MemoryBroker(server) as broker:
        broker.declare(PLATFORM)
        loop = Thread(target=Registrations(engine, broker, store).run, args=(stopping,))
        loop.start()
        broker.publish([OutgoingMessage("", names.MONITOR_QUEUE, each) for each in (body, encode(MESSAGE))])

        eventually(lambda: _rows(engine, Model))
        stopping.set()
        loop.join(10)

        (parked,) = broker.consume(names.PARKED_QUEUE, prefetch=9).take(9, timeout=1)
        assert parked.body == body
        assert reason in parked.headers["reason"]
        assert broker.queue_depths([names.MONITOR_QUEUE])[names.MONITOR_QUEUE].messages == 0
