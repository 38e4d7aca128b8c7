"""What a step can fail with.

StepError
├── MissingFileError        a file that the step needs was not handed to it
├── MissingSamplesError     neither the settings nor the model say how many samples to draw
├── ArchiveError            an archive cannot be read, or wants to write outside its place
├── ModelFailedError        the model or its kernel failed; carries the partial files
└── NoKeysError             the lookup found no key for any location (the run ends as "no keys")

Every one carries `artifacts`: files in the attempt's directory worth keeping although the step failed.
"""

from collections.abc import Mapping
from pathlib import Path


class StepError(Exception):
    """A step of the model failed."""

    def __init__(self, message: str = "", artifacts: Mapping[str, Path] | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.artifacts: dict[str, Path] = dict(artifacts or {})


class MissingFileError(StepError):
    """A file that the step needs was not handed to it."""


class MissingSamplesError(StepError):
    """Set number_of_samples in the analysis settings, or model_default_samples in the model settings."""


class ArchiveError(StepError):
    """An archive cannot be read, or wants to write outside its place."""


class ModelFailedError(StepError):
    """The model or its kernel failed."""


class NoKeysError(StepError):
    """The lookup found no key for any location, so there is nothing to model; see the lookup errors file."""
