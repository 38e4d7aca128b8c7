"""What an image says of the model in it, by labels: `lossline.supplier`, `lossline.model` and so on.

What the file of models says goes first. So an entry may be the name of an image and no more.
"""

from collections.abc import Callable, Mapping
from typing import Any

from services.worker_controller.errors import BadModelsFile

PREFIX = "lossline."
_TEXTS = ("supplier", "model", "version", "run_mode", "directory", "memory")
_NUMBERS: Mapping[str, Callable[[str], int | float | str]] = {
    "slots": int,
    "cpus": float,
    "gpus": lambda text: text if text == "all" else int(text),
    "start_within": float,
}

Labels = Callable[[str], Mapping[str, str]]
"""From the name of an image to its labels."""


def no_labels(_image: str) -> Mapping[str, str]:
    """For fleets without images."""
    return {}


def labels_on_engine(image: str) -> Mapping[str, str]:
    """The labels of an image that the Docker Engine has; none where it is not there. Raises FleetError."""
    from services.worker_controller.docker_fleet import image_labels

    return image_labels(image)


def with_labels(given: Mapping[Any, Any], labels: Labels) -> dict[Any, Any]:
    """An entry of the file of models, completed from its image. Raises BadModelsFile for a label without sense."""
    image = given.get("image")
    if not isinstance(image, str):
        return dict(given)
    said = labels(image)
    texts = {key: said[PREFIX + key] for key in _TEXTS if PREFIX + key in said}
    numbers = {key: _number(image, key, said[PREFIX + key]) for key in _NUMBERS if PREFIX + key in said}
    return {**texts, **numbers, **given}


def _number(image: str, key: str, text: str) -> int | float | str:
    try:
        return _NUMBERS[key](text)
    except ValueError as error:
        raise BadModelsFile(f"the label {PREFIX}{key} of {image} must be a number, not {text!r}") from error
