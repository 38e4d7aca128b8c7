"""Registering what a model worker serves. Source: oasis_api.md section 3."""

import json
import logging
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, select, update
from sqlalchemy.dialects.postgresql import insert

from services.worker_monitor.errors import BadRegistration
from services.worker_monitor.results import permanent_key
from services.worker_monitor.stored_files import NewFile, discard, own, release, reserve
from shared.database.resources import Model, ModelChunking, ModelScaling, User
from shared.messages.catalogue import RegisterModel
from shared.object_store import ObjectStore
from shared.oed_schemas import MODEL_SETTINGS, schema_errors

log = logging.getLogger(__name__)

VERSIONS = {
    "oasislmf": "ver_oasislmf",
    "ktools": "ver_ktools",
    "platform": "ver_platform",
    "ods-tools": "ver_ods",
    "oed-schema": "ver_oed",
}
_IDENTITY = ("supplier_id", "model_id", "version_id")
_LONGEST = 255
_FILENAME = "model_settings.json"


def register(engine: Engine, store: ObjectStore, message: RegisterModel) -> int:
    """Get or create the model (a deleted one is revived) and note what its worker says. Returns the model's id.

    Registering the same again changes nothing; several workers may do so at once. Settings that break their schema
    are logged and left out. Raises BadRegistration, and the errors of the database and of the store.
    """
    _check(message)
    settings = _valid_settings(message)
    if settings is None or _has_settings(_current(engine, message), settings):
        with engine.begin() as connection:
            return _write(connection, message)
    with engine.begin() as connection:
        new = NewFile(permanent_key(_FILENAME), _FILENAME, "application/json")
        [file_id] = reserve(connection, [new], _first_superuser(connection)).values()
    try:
        text = json.dumps(settings, ensure_ascii=False, indent=4).encode()
        size = store.put(new.key, BytesIO(text), content_type=new.content_type).size
        with engine.begin() as connection:
            return _write(connection, message, settings, {file_id: size})
    finally:
        discard(engine, store, [file_id])


def _check(message: RegisterModel) -> None:
    for name in _IDENTITY:
        if not 0 < len(getattr(message, name)) <= _LONGEST:
            raise BadRegistration(f"{name} must have 1 to {_LONGEST} characters")
    if message.run_mode.upper() not in ("V1", "V2"):
        raise BadRegistration(f"run_mode must be V1 or V2, not {message.run_mode!r}")


def _valid_settings(message: RegisterModel) -> dict[str, Any] | None:
    if message.settings is None:
        return None
    settings = dict(message.settings)
    errors = schema_errors(MODEL_SETTINGS, settings)
    if not errors:
        return settings
    log.warning("Model settings are invalid and left out", extra={**_facts(message), "errors": errors})
    return None


def _current(engine: Engine, message: RegisterModel) -> Row[Any] | None:
    with engine.connect() as connection:
        return connection.execute(_of(message)).one_or_none()


def _of(message: RegisterModel) -> Select[Any]:
    return select(Model.__table__).where(*(getattr(Model, name) == getattr(message, name) for name in _IDENTITY))


def _has_settings(model: Row[Any] | None, settings: Mapping[str, Any]) -> bool:
    return model is not None and model.settings_file_id is not None and model.settings == settings


def _first_superuser(connection: Connection) -> int | None:
    query = select(User.id).where(User.is_superuser, User.is_active).order_by(User.id).limit(1)
    return connection.execute(query).scalar()


def _write(
    connection: Connection,
    message: RegisterModel,
    settings: dict[str, Any] | None = None,
    sizes: Mapping[int, int] | None = None,
) -> int:
    """`sizes`: the reserved settings file, id and bytes."""
    identity = {name: getattr(message, name) for name in _IDENTITY}
    created = insert(Model).values(**identity, creator_id=_first_superuser(connection))
    connection.execute(created.on_conflict_do_nothing(index_elements=list(_IDENTITY)))
    model = connection.execute(_of(message).with_for_update(key_share=True)).one()
    changes = _changes(model, message)
    if settings is not None and sizes and not _has_settings(model, settings):
        own(connection, sizes)
        changes |= {"settings": settings, "settings_file_id": next(iter(sizes))}
        release(connection, [model.settings_file_id] if model.settings_file_id is not None else [])
    if changes:
        connection.execute(update(Model).where(Model.id == model.id).values(**changes))
    for options in (ModelChunking, ModelScaling):
        connection.execute(insert(options).values(model_id=model.id).on_conflict_do_nothing())
    log.info("Registered a model", extra={**_facts(message), "model": model.id, "changed": sorted(changes)})
    return int(model.id)


def _changes(model: Row[Any], message: RegisterModel) -> dict[str, Any]:
    wanted: dict[str, Any] = {"deleted": False}
    for name, column in VERSIONS.items():
        version = message.versions.get(name)
        if version is not None:
            wanted[column] = version[:_LONGEST]
    if model.run_mode is None:
        wanted["run_mode"] = message.run_mode.upper()
    if message.oasislmf_config is not None:
        wanted["oasislmf_config"] = dict(message.oasislmf_config)
    return {column: value for column, value in wanted.items() if getattr(model, column) != value}


def _facts(message: RegisterModel) -> dict[str, str]:
    return {"supplier": message.supplier_id, "model_name": message.model_id, "version": message.version_id}
