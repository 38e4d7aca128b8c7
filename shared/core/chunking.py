"""How many chunks a run is split into. Source: oasis_api.md section 4."""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Any


class ChunkStrategy(StrEnum):
    """How a chunk count is found."""

    FIXED = "FIXED_CHUNKS"
    DYNAMIC = "DYNAMIC_CHUNKS"
    AUTO = "AUTO"
    """Found when the run is planned, from the fleet and from earlier runs: shared.core.auto_chunks."""


@dataclass(frozen=True)
class ChunkingOptions:
    """The seven fields of a chunking_configuration."""

    lookup_strategy: ChunkStrategy = ChunkStrategy.FIXED
    loss_strategy: ChunkStrategy = ChunkStrategy.FIXED
    dynamic_locations_per_lookup: int = 10000
    dynamic_events_per_analysis: int = 1
    dynamic_chunks_max: int = 200
    fixed_analysis_chunks: int | None = 1
    fixed_lookup_chunks: int | None = 1


class ChunkingError(Exception):
    """The number of chunks cannot be found; `body` is what the API answers (status 400)."""

    def __init__(self, body: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{key}: {', '.join(texts)}" for key, texts in body.items()))
        self.body = body


def check_rows(location_rows: int) -> None:
    """Raises ChunkingError when there is no row to look up."""
    if location_rows < 1:
        raise ChunkingError({"portfolio": ['"location_file" must at least one row']})


def lookup_chunks(options: ChunkingOptions, location_rows: int) -> int:
    """The chunks of a keys lookup over `location_rows` rows (at least 1). Raises ChunkingError when there is no row.

    Not for AUTO, which options and rows do not decide (ValueError).
    """
    check_rows(location_rows)
    if options.lookup_strategy == ChunkStrategy.AUTO:
        raise ValueError("The lookup chunks of AUTO are found when the run is planned.")
    if options.lookup_strategy == ChunkStrategy.FIXED:
        return min(options.fixed_lookup_chunks or 1, location_rows)
    return min(ceil(location_rows / options.dynamic_locations_per_lookup), options.dynamic_chunks_max)


def loss_chunks(options: ChunkingOptions, events: int | None) -> int:
    """The chunks of a loss calculation over `events` events (only looked at by the dynamic strategy). Not for AUTO."""
    if options.loss_strategy == ChunkStrategy.AUTO:
        raise ValueError("The loss chunks of AUTO are found when the run is planned.")
    if options.loss_strategy == ChunkStrategy.FIXED:
        return options.fixed_analysis_chunks or 1
    if not events or events < 1:
        raise ChunkingError({"analysis_settings_file": ["event_set, Must not be null for Dynamic chunking"]})
    return min(ceil(events / options.dynamic_events_per_analysis), options.dynamic_chunks_max)


def number_of_events(analysis_settings: dict[str, Any], model_settings: dict[str, Any] | None) -> int:
    """The events that a loss calculation covers. Raises ChunkingError with the API's own words."""
    if model_settings is None:
        raise ChunkingError({"model_settings_file": ["Must not be null for Dynamic chunking"]})
    chosen = analysis_settings.get("event_ids")
    if isinstance(chosen, list) and len(chosen) > 1:
        return len(chosen)
    selected = _mapping(analysis_settings.get("model_settings")).get("event_set")
    if not selected:
        raise ChunkingError({"analysis_settings_file": ["event_set, Must not be null for Dynamic chunking"]})
    options = _mapping(_mapping(model_settings.get("model_settings")).get("event_set")).get("options")
    if not options or not isinstance(options, list):
        raise ChunkingError({"model_settings_file": ["event_set, No options given in Model settings"]})
    return _events_of(selected, options)


def _mapping(value: Any) -> dict[str, Any]:
    """Settings are what users upload: where an object is expected there may be anything."""
    return value if isinstance(value, dict) else {}


def _events_of(selected: str, options: list[Any]) -> int:
    option = next((option for option in map(_mapping, options) if option.get("id") == selected), None)
    if option is None:
        text = f"selected event_set '{selected}' from analysis_settings not found in model_settings"
        raise ChunkingError({"settings_files": [text]})
    count = option.get("number_of_events")
    if not isinstance(count, int) or count < 1:
        text = f"Option 'number_of_events' is not set for event_set = '{selected}'"
        raise ChunkingError({"model_settings_file": [text]})
    return count
