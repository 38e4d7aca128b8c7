"""What a run is requested with, put together from the rows and checked. Source: oasis_api.md sections 2.1 and 4."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from services.api.call import Call
from services.api.content_types import reading_name
from services.api.errors import BadRequest
from services.api.files import fetch, find_file, read_json_file
from services.api.portfolio_inputs import references
from services.api.rows import UnreadableRows, count_rows
from services.api.serialize.portfolios import FILE_FIELDS
from shared.core.chunking import (
    ChunkingError,
    ChunkingOptions,
    ChunkStrategy,
    check_rows,
    loss_chunks,
    number_of_events,
)
from shared.core.inputs import ChunkingFacts, FileRef, RunInputs
from shared.database.resources import (
    Analysis,
    AnalysisChunking,
    DataFile,
    File,
    Model,
    ModelChunking,
    Portfolio,
    analysis_data_files,
)
from shared.object_store import ObjectStoreError


@dataclass
class Refusals:
    """Reasons to refuse a request, collected so that they are answered together."""

    body: dict[str, list[str]] = field(default_factory=dict)

    def add(self, key: str, text: str) -> None:
        """One more reason."""
        self.body.setdefault(key, []).append(text)

    def merge(self, error: ChunkingError) -> None:
        """The reasons why chunks cannot be counted."""
        for key, texts in error.body.items():
            self.body.setdefault(key, []).extend(texts)

    def raise_any(self) -> None:
        """Raises BadRequest where there is a reason."""
        if self.body:
            raise BadRequest(self.body)


def collect_inputs(call: Call, analysis: Analysis, portfolio: Portfolio, *, with_input_file: bool) -> RunInputs:
    """References to every file that the steps of a run may read."""
    ids = {name: getattr(portfolio, f"{name}_id") for name in FILE_FIELDS}
    ids["settings_file"] = analysis.settings_file_id
    if with_input_file:
        ids["input_file"] = analysis.input_file_id
    found = {name: find_file(call, file_id) for name, file_id in ids.items()}
    files = references({name: file for name, file in found.items() if file})
    return RunInputs(files, _data_files(call, analysis), portfolio.reporting_currency or None)


def chunking_options(call: Call, analysis: Analysis) -> ChunkingOptions:
    """The analysis' own options, which override the model's entirely, or the model's."""
    row = call.session.get(AnalysisChunking, analysis.id) or call.session.get(ModelChunking, analysis.model_id)
    if row is None:
        return ChunkingOptions()
    return ChunkingOptions(
        lookup_strategy=ChunkStrategy(row.lookup_strategy),
        loss_strategy=ChunkStrategy(row.loss_strategy),
        dynamic_locations_per_lookup=row.dynamic_locations_per_lookup,
        dynamic_events_per_analysis=row.dynamic_events_per_analysis,
        dynamic_chunks_max=row.dynamic_chunks_max,
        fixed_analysis_chunks=row.fixed_analysis_chunks,
        fixed_lookup_chunks=row.fixed_lookup_chunks,
    )


def location_rows(call: Call, location: File, refusals: Refusals) -> int | None:
    """The rows that the lookup is split by; reasons against it are added to the refusals."""
    try:
        rows = _count(call, location) if location.rows is None else location.rows
        check_rows(rows)
    except UnreadableRows as error:
        refusals.add("portfolio", f"Failed to read location file size for chunking: {error}")
        return None
    except ChunkingError as error:
        refusals.merge(error)
        return None
    return rows


def known_rows(call: Call, portfolio: Portfolio) -> int | None:
    """The rows of the location file, where they have been counted: losses are not split by them, but grow with them."""
    location = find_file(call, portfolio.location_file_id)
    return None if location is None else location.rows


@dataclass(frozen=True)
class EventCount:
    """The events that a loss calculation covers, or why that is not known."""

    events: int | None = None
    unknown: str | None = None


def events(call: Call, analysis: Analysis, model: Model, options: ChunkingOptions, refusals: Refusals) -> EventCount:
    """The events of the losses. Where they are split by them, reasons against it are added to the refusals."""
    settings = find_file(call, analysis.settings_file_id)
    if settings is None:
        return EventCount(unknown="there is no settings file")
    if options.loss_strategy != ChunkStrategy.DYNAMIC:
        return _events_if_known(call, settings, model)
    try:
        count = _count_events(call, settings, model)
        loss_chunks(options, count)
    except ChunkingError as error:
        refusals.merge(error)
        return EventCount(unknown=str(error))
    return EventCount(count)


def _events_if_known(call: Call, settings: File, model: Model) -> EventCount:
    """Nothing is split by these, so that whatever hinders the count is a remark, and for the run itself to find."""
    try:
        return EventCount(_count_events(call, settings, model))
    except (ChunkingError, BadRequest, ObjectStoreError) as error:
        return EventCount(unknown=str(error))


def _count_events(call: Call, settings: File, model: Model) -> int:
    document = read_json_file(call, settings, "analysis_settings_file")
    return number_of_events(document if isinstance(document, dict) else {}, model.settings)


def model_version(model: Model) -> dict[str, Any]:
    """What the model says of its version now; a run goes on only where that is what it began with."""
    return {name: getattr(model, name) for name in _VERSION}


_VERSION = (
    "supplier_id",
    "model_id",
    "version_id",
    "ver_ktools",
    "ver_oasislmf",
    "ver_platform",
    "ver_ods",
    "ver_oed",
    "oasislmf_config",
)


def facts(options: ChunkingOptions, rows: int | None, event_count: EventCount) -> ChunkingFacts:
    """What the chunk counts are found from."""
    return ChunkingFacts(options, rows, event_count.events, event_count.unknown)


def _count(call: Call, location: File) -> int:
    with fetch(call, location) as stream:
        location.rows = count_rows(stream, reading_name(location.filename, location.content_type))
    return location.rows


def _data_files(call: Call, analysis: Analysis) -> tuple[FileRef, ...]:
    table = analysis_data_files
    query = (
        select(File.key, File.filename)
        .join(DataFile, DataFile.file_id == File.id)
        .join(table, table.c.data_file_id == DataFile.id)
        .where(table.c.analysis_id == analysis.id)
        .order_by(DataFile.id)
    )
    return tuple(FileRef(row.key, row.filename) for row in call.session.execute(query))
