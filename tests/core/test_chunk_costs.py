"""What earlier runs say of the cost of a chunk: exact where they agree, steady where some are odd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.chunk_costs import USUAL_SPREAD, USUAL_START, CostModel, MeasuredSection, fit

positive = st.floats(0.01, 1e4)


def section(
    model: CostModel, items: float, chunks: int, cores: int = 4, factors: tuple[float, ...] = ()
) -> MeasuredSection:
    """The section as a model would have had it, each chunk by its factor longer."""
    usual = model.seconds(items / chunks) if chunks > 1 else model.seconds_alone(items, cores)
    return MeasuredSection(items, chunks, tuple(usual * factor for factor in factors or (1.0,) * chunks), cores=cores)


def test_nothing_measured_is_no_model() -> None:
    assert fit([], 1.0) is None
    assert fit([MeasuredSection(0, 2, (1.0,)), MeasuredSection(10, 2, ())], 1.0) is None


@given(start=positive, per_item=st.floats(1e-6, 10), items=st.floats(100, 1e6))
def test_sections_of_two_sizes_give_start_and_price_back(start: float, per_item: float, items: float) -> None:
    true = CostModel(start, per_item)
    found = fit([section(true, items, 2), section(true, items, 8)], 1.0)
    assert found is not None
    for size in (items, items / 2, items / 8):
        assert found.seconds(size) == pytest.approx(true.seconds(size), rel=1e-6)
    assert (found.runs, found.sizes) == (2, 2)


@given(
    start=positive,
    per_item=st.floats(1e-4, 10),
    odd=st.lists(st.tuples(st.sampled_from([2, 4, 8, 16]), st.floats(0.2, 20)), max_size=2),
)
def test_a_minority_of_odd_runs_moves_the_prediction_little(
    start: float, per_item: float, odd: list[tuple[int, float]]
) -> None:
    true = CostModel(start, per_item)
    normal = [section(true, 1000, chunks) for chunks in (2, 3, 4, 6, 8, 12, 16, 24)]
    strange = [section(true, 1000, chunks, factors=(factor,) * chunks) for chunks, factor in odd]
    found = fit([*normal, *strange], 1.0)
    assert found is not None
    for chunks in (2, 8, 24):
        assert found.seconds(1000 / chunks) == pytest.approx(true.seconds(1000 / chunks), rel=0.35)


@pytest.mark.parametrize(("measured", "start"), [(100.0, USUAL_START), (3.0, 1.5)])
def test_chunks_of_one_size_have_the_usual_start_but_no_more_than_half(measured: float, start: float) -> None:
    found = fit([MeasuredSection(1000, 4, (measured,) * 4)] * 3, 1.0)
    assert found is not None
    assert (found.start, found.sizes) == (start, 1)
    assert found.seconds(250) == pytest.approx(measured)


@given(st.lists(st.tuples(st.floats(1, 1e6), st.integers(1, 50), positive), min_size=1, max_size=20))
def test_costs_are_never_negative(runs: list[tuple[float, int, float]]) -> None:
    found = fit([MeasuredSection(items, chunks, (seconds,), cores=2) for items, chunks, seconds in runs], 1.0)
    assert found is not None
    assert found.start >= 0
    assert found.per_item >= 0
    assert found.spread > 0
    assert 0 < found.efficiency <= 1


def test_larger_chunks_that_were_faster_are_no_discount() -> None:
    found = fit([MeasuredSection(1000, 2, (1.0,) * 2), MeasuredSection(1000, 10, (5.0,) * 10)], 1.0)
    assert found is not None
    assert found.per_item == 0


@pytest.mark.parametrize(("efficiency", "alone"), [(1.0, 27.0), (0.5, 52.0), (0.25, 102.0)])
def test_what_a_core_is_worth_to_a_single_chunk_is_measured(efficiency: float, alone: float) -> None:
    true = CostModel(2.0, 0.1, efficiency=efficiency)
    found = fit([section(true, 1000, 2), section(true, 1000, 10), section(true, 1000, 1)], 1.0)
    assert found is not None
    assert found.efficiency == pytest.approx(efficiency)
    assert found.seconds_alone(1000, 4) == pytest.approx(alone)


def test_a_single_chunk_alone_in_the_history_was_divided_among_its_cores() -> None:
    found = fit([MeasuredSection(1000, 1, (27.0,), cores=4), MeasuredSection(2000, 1, (52.0,), cores=4)], 1.0)
    assert found is not None
    assert (found.start, found.per_item) == (pytest.approx(2.0), pytest.approx(0.1))
    lookup = fit([MeasuredSection(1000, 1, (102.0,), cores=4)], 0.0)
    assert lookup is not None
    assert lookup.seconds_alone(1000, 4) == pytest.approx(102.0)


def test_one_chunk_on_one_core_is_a_size_like_any_other() -> None:
    """What CoastWind had on workers of one slot: nearly all of a chunk was its start."""
    found = fit([MeasuredSection(1000, 1, (21.1,), cores=1), MeasuredSection(1000, 2, (21.3, 21.5), cores=1)], 1.0)
    assert found is not None
    assert found.knows_start
    assert (found.start, found.per_item) == (pytest.approx(21.25), 0.0)


def test_a_single_chunk_is_a_second_size_where_the_divided_ones_had_one() -> None:
    true = CostModel(4.0, 0.1)
    found = fit([section(true, 1000, 8), section(true, 1000, 1, cores=2)], 1.0)
    assert found is not None
    assert (found.sizes, found.efficiency) == (2, 1.0)
    assert (found.start, found.per_item) == (pytest.approx(4.0), pytest.approx(0.1))


def test_time_around_the_step_is_part_of_the_start() -> None:
    measured = [
        MeasuredSection(1000, chunks, (2 + 100 / chunks,) * chunks, around=(3.0,) * chunks) for chunks in (2, 8)
    ]
    found = fit(measured, 1.0)
    assert found is not None
    assert found.start == pytest.approx(5.0)


def test_the_spread_is_what_was_measured_once_enough_was() -> None:
    true = CostModel(0.0, 1.0)
    even = fit([section(true, 100, 100)] * 10, 1.0)
    rough = fit([section(true, 100, 100, factors=(0.5, 1.0, 1.5) * 33 + (1.0,))] * 10, 1.0)
    one = fit([section(true, 100, 2)], 1.0)
    assert even is not None
    assert rough is not None
    assert one is not None
    assert even.spread < 0.02
    assert rough.spread == pytest.approx(0.41, abs=0.01)
    assert USUAL_SPREAD / 2 < one.spread < USUAL_SPREAD
