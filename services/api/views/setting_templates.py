"""models/{id}/setting_templates/: analysis settings that a model offers. Source: oasis_api.md section 1.2."""

from typing import Any

from flask import Response
from sqlalchemy import select

from services.api.call import Call
from services.api.downloads import blocks_of
from services.api.errors import BadRequest, NotFound
from services.api.files import copy_file, find_file, release_files, store_json
from services.api.filters import text_filters, time_filters
from services.api.groups import groups_of
from services.api.http import body_of, empty_answer, json_answer
from services.api.listing import listed
from services.api.lookups import find
from services.api.schemas.fields import load
from services.api.schemas.requests import NewTemplateBody, TemplateBody
from services.api.settings_documents import valid_analysis_settings
from services.api.uploads import uploaded
from services.api.views.analysis_settings import FILENAME
from services.api.visibility import visible
from shared.database.resources import Analysis, File, Model, SettingTemplate

FILTERS = text_filters(name=SettingTemplate.name) | time_filters(SettingTemplate.created, SettingTemplate.modified)


def list_templates(call: Call, pk: int) -> Response:
    """The templates of the model."""
    model = find(call, Model, pk)
    query = select(SettingTemplate).where(SettingTemplate.model_id == model.id).order_by(SettingTemplate.id)
    return json_answer([_body(call, each) for each in listed(call, query, FILTERS)])


def create_template(call: Call, pk: int) -> Response:
    """A new template, with a copy of an analysis' settings where one is named."""
    model = find(call, Model, pk)
    values = load(NewTemplateBody, body_of(call.request))
    source = values.pop("analysis_id", None)
    file_id = None if source is None else copy_file(call, _settings_of(call, source))
    template = SettingTemplate(model_id=model.id, creator_id=call.user.id, file_id=file_id, **values)
    call.session.add(template)
    return _answer(call, template)


def get_template(call: Call, pk: int, template: int) -> Response:
    """One template."""
    return json_answer(_body(call, _find(call, pk, template)))


def replace_template(call: Call, pk: int, template: int) -> Response:
    """PUT: the name must be there."""
    return _update(call, _find(call, pk, template), partial=False)


def change_template(call: Call, pk: int, template: int) -> Response:
    """PATCH."""
    return _update(call, _find(call, pk, template), partial=True)


def delete_template(call: Call, pk: int, template: int) -> Response:
    """Delete the template and its settings."""
    found = _find(call, pk, template)
    release_files(call, found.file_id)
    call.session.delete(found)
    return empty_answer(204)


def get_content(call: Call, pk: int, template: int) -> Response:
    """The settings as JSON."""
    file = _content(call, _find(call, pk, template))
    return Response(blocks_of(call.store.open(file.key)), content_type="application/json")


def post_content(call: Call, pk: int, template: int) -> Response:
    """Take settings that fit the schema."""
    found = _find(call, pk, template)
    file = store_json(call, valid_analysis_settings(body_of(call.request)), FILENAME)
    release_files(call, found.file_id)
    found.file_id = file.id
    call.session.flush()
    return json_answer(uploaded(file, groups_of(call, find(call, Model, pk))))


def delete_content(call: Call, pk: int, template: int) -> Response:
    """Take the settings away."""
    found = _find(call, pk, template)
    release_files(call, _content(call, found).id)
    found.file_id = None
    return empty_answer(200)


def _find(call: Call, pk: int, template: int) -> SettingTemplate:
    model = find(call, Model, pk)
    found = call.session.get(SettingTemplate, template)
    if found is None or found.model_id != model.id:
        raise NotFound
    return found


def _content(call: Call, template: SettingTemplate) -> File:
    file = find_file(call, template.file_id)
    if file is None:
        raise NotFound
    return file


def _settings_of(call: Call, analysis_id: int) -> int:
    query = select(Analysis).where(Analysis.id == analysis_id, visible(Analysis, call.user))
    analysis = call.session.scalars(query).one_or_none()
    if analysis is None:
        raise BadRequest({"Detail": [f"analysis_id = {analysis_id} not found"]})
    if analysis.settings_file_id is None:
        raise BadRequest({"Detail": [f"analysis_id = {analysis_id} has no attached settings file"]})
    return analysis.settings_file_id


def _update(call: Call, template: SettingTemplate, *, partial: bool) -> Response:
    for name, value in load(TemplateBody, body_of(call.request), partial=partial).items():
        setattr(template, name, value)
    return _answer(call, template)


def _answer(call: Call, template: SettingTemplate) -> Response:
    call.session.flush()
    return json_answer(_body(call, template))


def _body(call: Call, template: SettingTemplate) -> dict[str, Any]:
    url = call.url(f"models/{template.model_id}/setting_templates/{template.id}/content/")
    return {
        "id": template.id,
        "name": template.name,
        "description": template.description,
        "file_url": url if template.file_id is not None else None,
    }
