"""Model directories as users give them: who supplies the model, and where its parts lie."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.embedded.errors import EmbeddedError


class ModelDirectoryError(EmbeddedError):
    """A directory is no Oasis model."""


@dataclass(frozen=True)
class ModelDirectory:
    """An Oasis model directory: `oasislmf.json`, model settings, keys data, model data."""

    path: Path
    config: dict[str, Any]
    settings: dict[str, Any]
    supplier_id: str
    model_id: str
    version_id: str

    @property
    def name(self) -> str:
        """`{supplier}-{model}-{version}`, as queues are named."""
        return f"{self.supplier_id}-{self.model_id}-{self.version_id}"

    def example(self, *candidates: str) -> Path | None:
        """The first of the files, relative to the directory, that is there."""
        return next((self.path / name for name in candidates if (self.path / name).is_file()), None)


def read_model_directory(path: Path) -> ModelDirectory:
    """Read a model directory. Raises ModelDirectoryError with a sentence that says what is missing.

    Its names are those of the model settings, else of the example of analysis settings, else the directory's.
    """
    path = path.absolute()
    if not path.is_dir():
        raise ModelDirectoryError(f"{path} is not a directory; give the directory of an Oasis model.")
    config_path = path / "oasislmf.json"
    if not config_path.is_file():
        raise ModelDirectoryError(f"{path} has no oasislmf.json; give the directory of an Oasis model, which has one.")
    config = _read(config_path)
    settings_path = path / str(config.get("model_settings_json") or "meta-data/model_settings.json")
    if not settings_path.is_file():
        raise ModelDirectoryError(f"{settings_path} is not there; a model needs a model_settings.json.")
    settings = _read(settings_path)
    example = path / "analysis_settings.json"
    names = {**(_read(example) if example.is_file() else {}), **settings}
    return ModelDirectory(
        path=path,
        config=config,
        settings=settings,
        supplier_id=str(names.get("model_supplier_id") or "Unknown"),
        model_id=str(names.get("model_name_id") or path.name),
        version_id=str(settings.get("model_version_id") or "1"),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelDirectoryError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ModelDirectoryError(f"{path} must hold a JSON object.")
    return content
