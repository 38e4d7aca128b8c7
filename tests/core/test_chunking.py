"""Chunk counts by both strategies, their caps, and the exact bodies of their refusals."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.chunking import (
    ChunkingError,
    ChunkingOptions,
    ChunkStrategy,
    lookup_chunks,
    loss_chunks,
    number_of_events,
)

DYNAMIC = ChunkingOptions(
    lookup_strategy=ChunkStrategy.DYNAMIC,
    loss_strategy=ChunkStrategy.DYNAMIC,
    dynamic_locations_per_lookup=100,
    dynamic_events_per_analysis=10,
    dynamic_chunks_max=5,
)
MODEL_SETTINGS = {"model_settings": {"event_set": {"options": [{"id": "p", "number_of_events": 1447}, {"id": "q"}]}}}


def with_event_set(event_set: str) -> dict[str, Any]:
    """Analysis settings that select an event set."""
    return {"model_settings": {"event_set": event_set}}


def refusal(raised: pytest.ExceptionInfo[ChunkingError]) -> dict[str, list[str]]:
    """What the API answers."""
    return raised.value.body


@pytest.mark.parametrize(("chunks", "rows", "expected"), [(1, 10, 1), (4, 10, 4), (20, 10, 10), (None, 10, 1)])
def test_fixed_lookup_chunks_are_no_more_than_rows(chunks: int | None, rows: int, expected: int) -> None:
    assert lookup_chunks(ChunkingOptions(fixed_lookup_chunks=chunks), rows) == expected


@pytest.mark.parametrize(("rows", "expected"), [(1, 1), (100, 1), (101, 2), (499, 5), (501, 5), (10**9, 5)])
def test_dynamic_lookup_chunks_are_capped(rows: int, expected: int) -> None:
    assert lookup_chunks(DYNAMIC, rows) == expected


@pytest.mark.parametrize(("events", "expected"), [(1, 1), (10, 1), (11, 2), (50, 5), (51, 5)])
def test_dynamic_loss_chunks_are_capped(events: int, expected: int) -> None:
    assert loss_chunks(DYNAMIC, events) == expected


@pytest.mark.parametrize(("chunks", "expected"), [(1, 1), (32767, 32767), (None, 1)])
def test_fixed_loss_chunks_look_at_no_events(chunks: int | None, expected: int) -> None:
    assert loss_chunks(ChunkingOptions(fixed_analysis_chunks=chunks), None) == expected


@given(rows=st.integers(1, 10**7), per=st.integers(1, 10**6), most=st.integers(1, 5000))
def test_no_chunk_is_empty_and_none_is_larger_than_asked_below_the_cap(rows: int, per: int, most: int) -> None:
    options = ChunkingOptions(
        lookup_strategy=ChunkStrategy.DYNAMIC, dynamic_locations_per_lookup=per, dynamic_chunks_max=most
    )
    chunks = lookup_chunks(options, rows)
    assert 1 <= chunks <= min(rows, most)
    assert chunks == most or chunks * per >= rows


@pytest.mark.parametrize("options", [ChunkingOptions(), DYNAMIC])
def test_a_lookup_without_rows_is_refused(options: ChunkingOptions) -> None:
    with pytest.raises(ChunkingError) as raised:
        lookup_chunks(options, 0)
    assert refusal(raised) == {"portfolio": ['"location_file" must at least one row']}


@pytest.mark.parametrize("events", [None, 0, -3])
def test_dynamic_loss_chunks_without_events_are_refused(events: int | None) -> None:
    with pytest.raises(ChunkingError) as raised:
        loss_chunks(DYNAMIC, events)
    assert refusal(raised) == {"analysis_settings_file": ["event_set, Must not be null for Dynamic chunking"]}


def test_events_are_those_of_the_selected_event_set() -> None:
    assert number_of_events(with_event_set("p"), MODEL_SETTINGS) == 1447


def test_several_event_ids_are_counted_instead() -> None:
    assert number_of_events({"event_ids": [4, 5, 6], **with_event_set("q")}, MODEL_SETTINGS) == 3


def test_a_single_event_id_is_not_enough_to_count() -> None:
    assert number_of_events({"event_ids": [4], **with_event_set("p")}, MODEL_SETTINGS) == 1447


@pytest.mark.parametrize(
    ("analysis_settings", "model_settings", "body"),
    [
        (with_event_set("p"), None, {"model_settings_file": ["Must not be null for Dynamic chunking"]}),
        ({}, MODEL_SETTINGS, {"analysis_settings_file": ["event_set, Must not be null for Dynamic chunking"]}),
        (
            {"model_settings": None},
            MODEL_SETTINGS,
            {"analysis_settings_file": ["event_set, Must not be null for Dynamic chunking"]},
        ),
        (
            with_event_set("p"),
            {"model_settings": {}},
            {"model_settings_file": ["event_set, No options given in Model settings"]},
        ),
        (
            with_event_set("x"),
            MODEL_SETTINGS,
            {"settings_files": ["selected event_set 'x' from analysis_settings not found in model_settings"]},
        ),
        (
            with_event_set("q"),
            MODEL_SETTINGS,
            {"model_settings_file": ["Option 'number_of_events' is not set for event_set = 'q'"]},
        ),
    ],
)
def test_what_hinders_the_count_is_said_in_the_words_of_the_api(
    analysis_settings: dict[str, Any], model_settings: dict[str, Any] | None, body: dict[str, list[str]]
) -> None:
    with pytest.raises(ChunkingError) as raised:
        number_of_events(analysis_settings, model_settings)
    assert refusal(raised) == body
