"""Models and data files. Source: oasis_api.md sections 1.2 and 1.4."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api.call import Call
from services.api.files import find_files, stored_name
from services.api.groups import group_names
from services.api.serialize.moments import moment
from shared.database.resources import DataFile, File, Model, model_data_files

VERSIONS_V1 = ("ver_ktools", "ver_oasislmf", "ver_platform")
VERSIONS = (*VERSIONS_V1, "ver_ods", "ver_oed")


class Reading(Protocol):
    """What models are made into bodies with: a Call, or what stands for it where there is no request."""

    @property
    def session(self) -> Session: ...

    @property
    def version(self) -> str: ...

    def url(self, path: str) -> str: ...


def model_bodies(call: Reading, models: Iterable[Model]) -> list[dict[str, Any]]:
    """Models as JSON."""
    found = list(models)
    data_files = _data_files_of(call, [model.id for model in found])
    groups = group_names(call.session, Model, [model.id for model in found])
    return [_model_body(call, model, data_files.get(model.id, []), groups.get(model.id, [])) for model in found]


def _data_files_of(call: Reading, model_ids: list[int]) -> Mapping[int, list[int]]:
    table = model_data_files
    query = select(table.c.model_id, table.c.data_file_id).where(table.c.model_id.in_(model_ids))
    found: dict[int, list[int]] = {}
    for model_id, data_file_id in call.session.execute(query.order_by(table.c.data_file_id)):
        found.setdefault(model_id, []).append(data_file_id)
    return found


def _model_body(call: Reading, model: Model, data_files: list[int], groups: list[str]) -> dict[str, Any]:
    url = call.url(f"models/{model.id}/")
    body = {
        "id": model.id,
        "supplier_id": model.supplier_id,
        "model_id": model.model_id,
        "version_id": model.version_id,
        "created": moment(model.created),
        "modified": moment(model.modified),
        "data_files": data_files,
        "settings": f"{url}settings/",
        "versions": f"{url}versions/",
    }
    if call.version != "v1":
        body |= {
            "scaling_configuration": f"{url}scaling_configuration/",
            "chunking_configuration": f"{url}chunking_configuration/",
            "groups": groups,
        }
    return body | {"run_mode": model.run_mode}


def versions_body(call: Call, model: Model) -> dict[str, Any]:
    """The versions of what a model runs with."""
    return {name: getattr(model, name) for name in (VERSIONS_V1 if call.version == "v1" else VERSIONS)}


def data_file_bodies(call: Call, data_files: Iterable[DataFile]) -> list[dict[str, Any]]:
    """Data files as JSON."""
    found = list(data_files)
    files = find_files(call, {each.file_id for each in found if each.file_id is not None})
    groups = group_names(call.session, DataFile, [each.id for each in found])
    return [_data_file_body(call, each, files.get(each.file_id or 0), groups.get(each.id, [])) for each in found]


def _data_file_body(call: Call, data_file: DataFile, file: File | None, groups: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": data_file.id,
        "file_description": data_file.file_description,
        "file_category": data_file.file_category,
        "created": moment(data_file.created),
        "modified": moment(data_file.modified),
    }
    if call.version != "v1":
        body["groups"] = groups
    return body | {
        "file": call.url(f"data_files/{data_file.id}/content/") if file else None,
        "filename": file.filename if file else None,
        "stored": stored_name(file) if file else None,
        "content_type": file.content_type if file else None,
    }
