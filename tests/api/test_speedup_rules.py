"""The speedup of a run as a pure function of its times."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.speedup import (
    WORKERS_SHOWN,
    Section,
    Slice,
    TimedStage,
    TimedSubTask,
    forecast,
    lost_seconds,
    stage_times,
)
from shared.core.auto_chunks import Work
from shared.core.chunk_costs import CostModel

ZERO = datetime(2025, 3, 1, tzinfo=UTC)


def moment(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def did(slug: str, *spans: tuple[float, float], copied: bool = False) -> TimedSubTask:
    """A sub-task whose attempts began and ended at these seconds; only the last one counts."""
    last = len(spans) - 1
    slices = [Slice(moment(start), moment(end), place == last) for place, (start, end) in enumerate(spans)]
    return TimedSubTask(slug, slices, copied)


STAGES = [
    TimedStage("prepare", False, [did("prepare", (1, 3))]),
    TimedStage("chunk", True, [did("chunk-0", (3.5, 7.5)), did("chunk-1", (4, 5), (6, 9)), did("chunk-2", (7.5, 9.5))]),
    TimedStage("output", False, [did("output", (10, 12), (13, 16))]),
]


def test_stages_are_ready_when_the_one_before_has_ended() -> None:
    times = stage_times(ZERO, STAGES)
    assert [(each.waited, each.span) for each in times] == [(1, 2), (0.5, 6), (0.5, 6)]
    assert sum(each.waited + each.span for each in times) == 16, "from the request to the end"
    assert lost_seconds(STAGES) == 3


def test_work_and_longest_are_of_the_attempts_that_count() -> None:
    _, chunks, output = STAGES
    assert (chunks.work, chunks.longest.slug, chunks.longest.seconds) == (9, "chunk-0", 4)
    assert output.work == 3


def test_copies_took_no_time_of_this_run_but_are_work_of_a_whole_one() -> None:
    stages = [
        TimedStage("prepare", False, [did("prepare", (-100, -90), copied=True)]),
        TimedStage("chunk", True, [did("chunk-0", (-80, -70), copied=True), did("chunk-1", (2, 7))]),
    ]
    times = stage_times(ZERO, stages)
    assert [(each.waited, each.span) for each in times] == [(0, 0), (2, 5)]
    assert forecast(stages, times, {}, 1, 1).seconds == 10 + 2 * 2 + 15
    assert forecast(stages, times, {}, 2, 1).seconds == 10 + 2 * 2 + 10


def test_with_more_workers_only_the_parallel_section_gets_shorter() -> None:
    times = stage_times(ZERO, STAGES)
    serial = 2 + 3 + 3 * 0.5
    assert [forecast(STAGES, times, {}, workers, 1).seconds for workers in (1, 2, 3, 4)] == [
        serial + 9,
        serial + 5,
        serial + 4,
        serial + 4,
    ]
    assert forecast(STAGES, times, {}, 1, 2).seconds == serial + 5


def test_the_best_chunks_are_those_of_the_costs_where_they_are_faster() -> None:
    times = stage_times(ZERO, STAGES)
    section = Section(CostModel(0.1, 8.7 / 1000, spread=0.01), Work(1000.0, 1000), 200)
    one = forecast(STAGES, times, {"chunk": section}, 4, 1)
    assert one.best_chunks["chunk"] >= 4
    assert one.best_seconds is not None
    assert one.best_seconds < one.seconds


def test_the_chunks_that_a_run_had_stay_where_no_others_are_predicted_to_be_faster() -> None:
    times = stage_times(ZERO, STAGES)
    section = Section(CostModel(50.0, 1.0), Work(1000.0, 1000), 200)
    one = forecast(STAGES, times, {"chunk": section}, 3, 1)
    assert (one.best_chunks, one.best_seconds) == ({"chunk": 3}, one.seconds)


@pytest.mark.parametrize("section", [{}, {"chunk": Section(None, None, 200, "nothing measured")}])
def test_without_costs_nothing_is_said_of_other_chunks(section: dict[str, Section]) -> None:
    one = forecast(STAGES, stage_times(ZERO, STAGES), section, 4, 1)
    assert (one.best_chunks, one.best_seconds) == ({}, None)


lengths = st.lists(st.floats(0, 1000), min_size=1, max_size=40)
costs = st.builds(CostModel, start=st.floats(0, 50), per_item=st.floats(1e-4, 1), spread=st.floats(0, 1))


@given(lengths, st.lists(st.floats(0, 100), max_size=5), costs, st.integers(1, 8))
def test_more_workers_are_never_predicted_to_be_slower(
    chunks: list[float], serial: list[float], model: CostModel, slots: int
) -> None:
    stages = [TimedStage("chunk", True, [did(f"chunk-{n}", (0, each)) for n, each in enumerate(chunks)])]
    stages += [TimedStage("serial", False, [did("serial", (0, each))]) for each in serial]
    sections = {"chunk": Section(model, Work(5000.0, 5000), 100)}
    times = stage_times(ZERO, stages)

    found = [forecast(stages, times, sections, workers, slots) for workers in WORKERS_SHOWN]

    seconds = [each.seconds for each in found]
    best = [each.best_seconds or 0.0 for each in found]
    assert all(after <= before + 1e-6 for before, after in pairwise(seconds))
    assert all(after <= before * 1.03 + 1e-6 for before, after in pairwise(best))
    assert all(better <= plain + 1e-6 for better, plain in zip(best, seconds, strict=True))
    assert seconds[-1] >= sum(stage.longest.seconds for stage in stages) - 1e-3, "the critical path stays"
