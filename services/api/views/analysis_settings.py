"""analyses/{id}/settings/ and settings_file/. Source: oasis_api.md section 1.5."""

from typing import Any

from flask import Response

from services.api.call import Call
from services.api.content_types import JSON_TYPES
from services.api.downloads import blocks_of, file_answer
from services.api.errors import NotFound
from services.api.files import find_file, release_files, store_json
from services.api.groups import group_names
from services.api.http import body_of, empty_answer, json_answer
from services.api.lookups import find_analysis
from services.api.settings_documents import valid_analysis_settings
from services.api.uploads import take_in, uploaded, uploaded_file
from shared.database.resources import Analysis, File, Portfolio

FILENAME = "analysis_settings.json"


def get_settings(call: Call, pk: int) -> Response:
    """The settings as JSON."""
    file = _settings_of(call, find_analysis(call, pk))
    return Response(blocks_of(call.store.open(file.key)), content_type="application/json")


def post_settings(call: Call, pk: int) -> Response:
    """Take settings that fit the schema."""
    analysis = find_analysis(call, pk)
    return _uploaded(call, analysis, replace_settings(call, analysis, body_of(call.request)))


def get_settings_file(call: Call, pk: int) -> Response:
    """The settings as a file."""
    return file_answer(call, _settings_of(call, find_analysis(call, pk)))


def post_settings_file(call: Call, pk: int) -> Response:
    """Take settings as a file, which no schema is asked about."""
    find_analysis(call, pk)
    upload = uploaded_file(call, JSON_TYPES)
    call.release_connection()
    file = take_in(call, upload)
    analysis = find_analysis(call, pk)
    _replace(call, analysis, file)
    return _uploaded(call, analysis, file)


def delete_settings(call: Call, pk: int) -> Response:
    """Take the settings away."""
    analysis = find_analysis(call, pk)
    release_files(call, _settings_of(call, analysis).id)
    analysis.settings_file_id = None
    return empty_answer(200)


def replace_settings(call: Call, analysis: Analysis, document: Any) -> File:
    """Check and store new settings of a locked analysis. Raises BadRequest."""
    file = store_json(call, valid_analysis_settings(document), FILENAME)
    _replace(call, analysis, file)
    return file


def _uploaded(call: Call, analysis: Analysis, file: File) -> Response:
    groups = group_names(call.session, Portfolio, [analysis.portfolio_id]).get(analysis.portfolio_id, [])
    return json_answer(uploaded(file, groups))


def _replace(call: Call, analysis: Analysis, file: File) -> None:
    release_files(call, analysis.settings_file_id)
    analysis.settings_file_id = file.id
    call.session.flush()


def _settings_of(call: Call, analysis: Analysis) -> File:
    file = find_file(call, analysis.settings_file_id)
    if file is None:
        raise NotFound
    return file
