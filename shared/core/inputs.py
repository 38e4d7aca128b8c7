"""What a run is requested with: a snapshot, so that what users change meanwhile does not reach it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.chunking import ChunkingOptions


@dataclass(frozen=True)
class FileRef:
    """An object of the store and the name that its owner knows it by."""

    key: str
    filename: str


@dataclass(frozen=True)
class RunInputs:
    """Files and values that the steps of a run read.

    `files` holds, where there is one: location_file, accounts_file, reinsurance_info_file, reinsurance_scope_file,
    currency_conversion_json, settings_file, input_file.
    """

    files: Mapping[str, FileRef] = field(default_factory=dict)
    data_files: tuple[FileRef, ...] = ()
    reporting_currency: str | None = None


@dataclass(frozen=True)
class ChunkingFacts:
    """What the chunk counts of a run are found from. Locations and events are also what later runs learn from."""

    options: ChunkingOptions = field(default_factory=ChunkingOptions)
    location_rows: int | None = None
    events: int | None = None
    events_unknown: str | None = None
    """Why the events could not be counted, where that is no reason to refuse the run."""
