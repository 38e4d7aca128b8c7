"""The file of models: for each queue how its workers are started. YAML (JSON is some); unknown keys are refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from services.worker_controller.entry_keys import checked
from services.worker_controller.errors import BadModelsFile
from services.worker_controller.image_labels import Labels, no_labels, with_labels
from services.worker_controller.interpolation import UnknownVariable, interpolated
from services.worker_controller.placing import Gpus
from shared.names import model_queue


@dataclass(frozen=True)
class ModelEntry:
    """How workers of one model are started. What a fleet cannot use is refused by that fleet, not here.

    `environment`: a value of null is taken from the controller's own environment. `cpus` in cores, `memory` as `4G`.
    `networks`: the first is the one that a container is made in. `secrets`: `source:file`; the source is
    a file of the host, or a secret of the Swarm. `read_only`: whether its root file system is.
    `gpus`: a number, or "all". `placement`: constraints on the nodes of a swarm, all of which hold. `start_within`:
    seconds that a worker has until it serves, None for what is set for all models.
    """

    supplier: str
    model: str
    version: str
    run_mode: str = "v2"
    slots: int = 1
    directory: str | None = None
    image: str | None = None
    command: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    read_only: bool = True
    cpus: float | None = None
    memory: str | None = None
    gpus: Gpus = None
    placement: tuple[str, ...] = ()
    start_within: float | None = None

    @property
    def queue(self) -> str:
        """The queue that its workers serve."""
        return model_queue(self.supplier, self.model, self.version, self.run_mode.upper())

    @property
    def secret_files(self) -> Mapping[str, str]:
        """Where secrets come from, by the names of their files in `/run/secrets`."""
        pairs = (text.partition(":") for text in self.secrets)
        return {file or source.rpartition("/")[2]: source for source, _, file in pairs}

    def variables(self, own: Mapping[str, str]) -> dict[str, str]:
        """What a worker of the model gets; `own`: the controller's environment."""
        taken = {name: own.get(name) if value is None else value for name, value in self.environment.items()}
        return {
            "OASIS_MODEL_SUPPLIER_ID": self.supplier,
            "OASIS_MODEL_ID": self.model,
            "OASIS_MODEL_VERSION_ID": self.version,
            "OASIS_RUN_MODE": self.run_mode,
            "OASIS_CELERY_CONCURRENCY": str(self.slots),
            **({"OASIS_MODEL_DATA_DIRECTORY": self.directory} if self.directory else {}),
            **{name: value for name, value in taken.items() if value is not None},
        }


_KNOWN = tuple(each.name for each in fields(ModelEntry))
_NEEDED = ("supplier", "model", "version")


def read_models_file(path: Path, environ: Mapping[str, str], labels: Labels = no_labels) -> Mapping[str, ModelEntry]:
    """The models by queue; `${NAME}` is taken from `environ`, and what an entry leaves out from its image's labels.

    Raises BadModelsFile with a sentence that names the entry and what is wrong with it.
    """
    try:
        content = interpolated(yaml.safe_load(path.read_text(encoding="utf-8")), environ)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, UnknownVariable) as error:
        raise BadModelsFile(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict) or set(content) != {"models"} or not isinstance(content["models"], list):
        raise BadModelsFile(f"{path} must hold one key, `models`, with a list of models")
    found = enumerate(content["models"], 1)
    entries = [_entry(f"{path}, model {number}", each, labels) for number, each in found]
    by_queue = {entry.queue: entry for entry in entries}
    if len(by_queue) < len(entries):
        raise BadModelsFile(f"{path} names a queue twice; the queues are {', '.join(each.queue for each in entries)}")
    return by_queue


def _entry(where: str, said: Any, labels: Labels) -> ModelEntry:
    if not isinstance(said, dict):
        raise BadModelsFile(f"{where}: it must be a mapping with the keys {', '.join(_KNOWN)}")
    given = with_labels(said, labels)
    unknown = [str(key) for key in given if key not in _KNOWN]
    if unknown:
        raise BadModelsFile(f"{where}: unknown {', '.join(sorted(unknown))}; known are {', '.join(_KNOWN)}")
    missing = [name for name in _NEEDED if not given.get(name)]
    if missing:
        raise BadModelsFile(f"{where}: {', '.join(missing)} must be given, here or by labels of an image that is there")
    return ModelEntry(**{name: checked(f"{where}: {name}", name, value) for name, value in given.items()})
