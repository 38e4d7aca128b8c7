"""models/. Source: oasis_api.md section 1.2."""

from typing import Any

from flask import Response
from sqlalchemy import delete, insert, or_, select
from sqlalchemy.exc import IntegrityError

from services.api.call import Call
from services.api.errors import BadRequest, Forbidden
from services.api.files import find_file, stored_name
from services.api.filters import text_filters, time_filters, user_filter
from services.api.groups import change_groups, set_groups
from services.api.http import body_of, empty_answer, json_answer
from services.api.listing import listed
from services.api.lookups import all_referred, find, is_usable, seen
from services.api.schemas.fields import load
from services.api.schemas.requests import ModelBody, ModelBodyV2
from services.api.serialize.models import data_file_bodies, model_bodies, versions_body
from services.api.views.model_settings import replace_settings
from shared.database.resources import DataFile, Model, ModelChunking, ModelScaling, model_data_files

FILTERS = (
    text_filters(supplier_id=Model.supplier_id, model_id=Model.model_id, version_id=Model.version_id)
    | user_filter(Model.creator_id)
    | time_filters(Model.created, Model.modified)
)
_NAMES = ("supplier_id", "model_id", "version_id")
_TAKEN = {"non_field_errors": ["The fields supplier_id, model_id, version_id must make a unique set."]}


def list_models(call: Call) -> Response:
    """All models; v1 does not see those of v2."""
    query = seen(call, Model)
    if call.version == "v1":
        query = query.where(or_(Model.run_mode.is_(None), Model.run_mode != "V2"))
    return json_answer(model_bodies(call, listed(call, query, FILTERS)))


def create_model(call: Call) -> Response:
    """A new model, or a deleted one revived."""
    values = _load(call, partial=False)
    query = select(Model).filter_by(**{name: values[name] for name in _NAMES}).with_for_update()
    model = call.session.scalars(query).one_or_none()
    if model is None:
        return _answer(call, _new_model(call, values), 201)
    if not model.deleted:
        raise BadRequest(_TAKEN)
    if not is_usable(call, model):
        raise Forbidden
    model.deleted = False
    model.creator_id = call.user.id
    set_groups(call, model, values.get("groups"))
    _apply(call, model, {"data_files": [], **values})
    return _answer(call, model, 200)


def get_model(call: Call, pk: int) -> Response:
    """One model."""
    return _answer(call, find(call, Model, pk), 200)


def replace_model(call: Call, pk: int) -> Response:
    """PUT: the required fields must be there."""
    return _update(call, pk, partial=False)


def change_model(call: Call, pk: int) -> Response:
    """PATCH: any fields."""
    return _update(call, pk, partial=True)


def delete_model(call: Call, pk: int) -> Response:
    """Hide the model: analyses may refer to it, and it may come back."""
    find(call, Model, pk).deleted = True
    return empty_answer(204)


def get_versions(call: Call, pk: int) -> Response:
    """What the model's workers run with."""
    return json_answer(versions_body(call, find(call, Model, pk)))


def list_data_files(call: Call, pk: int) -> Response:
    """The model's data files."""
    model = find(call, Model, pk)
    table = model_data_files
    query = select(DataFile).join(table, table.c.data_file_id == DataFile.id).where(table.c.model_id == model.id)
    return json_answer(data_file_bodies(call, listed(call, query.order_by(DataFile.id), {})))


def get_storage_links(call: Call, pk: int) -> Response:
    """The stored name of the settings."""
    file = find_file(call, find(call, Model, pk).settings_file_id)
    return json_answer({"settings_file": stored_name(file) if file else None})


def _load(call: Call, *, partial: bool) -> dict[str, Any]:
    return load(ModelBody if call.version == "v1" else ModelBodyV2, body_of(call.request), partial=partial)


def _new_model(call: Call, values: dict[str, Any]) -> Model:
    model = Model(**{name: values[name] for name in _NAMES}, creator_id=call.user.id)
    call.session.add(model)
    _flush(call)
    call.session.add_all([ModelChunking(model_id=model.id), ModelScaling(model_id=model.id)])
    set_groups(call, model, values.get("groups"))
    _apply(call, model, values)
    return model


def _update(call: Call, pk: int, *, partial: bool) -> Response:
    model = find(call, Model, pk)
    values = _load(call, partial=partial)
    change_groups(call, model, values, partial=partial)
    _apply(call, model, values)
    return _answer(call, model, 200)


def _apply(call: Call, model: Model, values: dict[str, Any]) -> None:
    for name in (*_NAMES, "run_mode"):
        if name in values:
            setattr(model, name, values[name])
    _flush(call)
    if "data_files" in values:
        _replace_data_files(call, model, values["data_files"])
    if values.get("settings"):
        replace_settings(call, model, values["settings"])


def _replace_data_files(call: Call, model: Model, pks: list[int]) -> None:
    found = all_referred(call, DataFile, pks, "data_files")
    table = model_data_files
    call.session.execute(delete(table).where(table.c.model_id == model.id))
    if found:
        call.session.execute(insert(table), [{"model_id": model.id, "data_file_id": each.id} for each in found])


def _flush(call: Call) -> None:
    try:
        call.session.flush()
    except IntegrityError as error:
        # Another request was faster with the same triple, or a deleted model still holds it.
        raise BadRequest(_TAKEN) from error


def _answer(call: Call, model: Model, status: int) -> Response:
    call.session.flush()
    return json_answer(model_bodies(call, [model])[0], status)
