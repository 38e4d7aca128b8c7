"""models/{id}/settings/. Source: oasis_api.md section 1.2."""

from typing import Any

from flask import Response

from services.api.call import Call
from services.api.errors import NotFound
from services.api.files import find_file, release_files, store_json
from services.api.groups import groups_of
from services.api.http import body_of, empty_answer, json_answer
from services.api.lookups import find
from services.api.settings_documents import valid_model_settings
from services.api.uploads import uploaded
from shared.database.resources import Model

FILENAME = "model_settings.json"


def get_settings(call: Call, pk: int) -> Response:
    """The settings themselves."""
    model = find(call, Model, pk)
    if model.settings_file_id is None:
        raise NotFound
    return json_answer(model.settings)


def post_settings(call: Call, pk: int) -> Response:
    """Take new settings; they may name the mode that the model runs in."""
    model = find(call, Model, pk)
    replace_settings(call, model, body_of(call.request))
    file = find_file(call, model.settings_file_id)
    if file is None:
        raise NotFound
    return json_answer(uploaded(file, groups_of(call, model)))


def delete_settings(call: Call, pk: int) -> Response:
    """Take the settings away."""
    model = find(call, Model, pk)
    if model.settings_file_id is None:
        raise NotFound
    release_files(call, model.settings_file_id)
    model.settings_file_id = None
    model.settings = None
    return empty_answer(200)


def replace_settings(call: Call, model: Model, document: Any) -> None:
    """Check and store new settings of a locked model. Raises BadRequest."""
    settings = valid_model_settings(document)
    file = store_json(call, settings, FILENAME)
    release_files(call, model.settings_file_id)
    model.settings_file_id = file.id
    model.settings = settings
    run_mode = str(settings.get("model_run_mode", "")).upper()
    if run_mode in ("V1", "V2"):
        model.run_mode = run_mode
    call.session.flush()
