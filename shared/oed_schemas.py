"""JSON schemas and other data files of the installed ods_tools, read without importing it (which would load pandas)."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

MODEL_SETTINGS = "model_settings_schema"
ANALYSIS_SETTINGS = "analysis_settings_schema"

Errors = dict[str, list[str]]


class PackageDataMissing(Exception):
    """The data files of ods_tools are not where they should be: install ods-tools."""


@cache
def data_folder() -> Path:
    """The folder of ods_tools' data. Raises PackageDataMissing."""
    spec = find_spec("ods_tools")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location, "data")
        if folder.is_dir():
            return folder
    raise PackageDataMissing(str(PackageDataMissing.__doc__))


def read_json(name: str) -> Any:
    """One data file, by its name in the folder. Raises PackageDataMissing."""
    try:
        return json.loads((data_folder() / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackageDataMissing(f"{name} of ods_tools cannot be read: {error}") from error


@cache
def validator(schema: str) -> Draft202012Validator:
    """The validator of MODEL_SETTINGS or ANALYSIS_SETTINGS. Raises PackageDataMissing."""
    return Draft202012Validator(read_json(f"{schema}.json"))


def schema_errors(schema: str, document: Any) -> Errors:
    """What is wrong with the document: `{"<schema> <path-with-dashes>": [message, …]}`, the keys that clients know."""
    errors: Errors = {}
    for error in validator(schema).iter_errors(document):
        place = "-".join(str(part) for part in (error.path or error.schema_path)) or "error"
        errors.setdefault(f"{schema} {place}", []).append(error.message)
    return errors
