"""AUTO: its predictions behave, its counts keep to their bounds, and on made-up models it is hardly ever beaten."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.auto_chunks import (
    NEARLY_BEST,
    Fleet,
    Work,
    advise,
    best_chunks,
    makespan,
    predict,
    usual_chunks,
)
from shared.core.chunk_costs import CostModel

models = st.builds(
    CostModel,
    start=st.floats(0, 100),
    per_item=st.floats(1e-6, 1),
    spread=st.floats(0, 1),
    efficiency=st.floats(0.01, 1),
    sizes=st.sampled_from([1, 2]),
)
works = st.builds(lambda parts, each: Work(float(parts * each), parts), st.integers(1, 5000), st.integers(1, 1000))
steady = st.builds(Fleet, slots=st.integers(0, 300), slots_per_worker=st.integers(1, 16))
growing = st.builds(
    Fleet,
    slots=st.integers(0, 50),
    slots_per_worker=st.integers(1, 16),
    most_workers=st.integers(0, 40),
    chunks_per_worker=st.none() | st.integers(1, 20),
)
fleets = steady | growing


@given(models, works, steady, st.integers(1, 500), st.integers(0, 100))
def test_more_slots_are_never_predicted_to_take_longer(
    model: CostModel, work: Work, fleet: Fleet, chunks: int, more: int
) -> None:
    larger = Fleet(fleet.slots + more, fleet.slots_per_worker)
    chunks = min(chunks, work.parts)
    assert predict(model, work, larger, chunks) <= predict(model, work, fleet, chunks)
    best, best_of_larger = best_chunks(model, work, fleet, 100), best_chunks(model, work, larger, 100)
    enough = predict(model, work, fleet, best) * (1 + NEARLY_BEST)
    assert predict(model, work, larger, best_of_larger) <= enough * (1 + 1e-9)


@given(models, works, fleets, st.integers(1, 400))
def test_counts_keep_to_their_bounds(model: CostModel, work: Work, fleet: Fleet, most: int) -> None:
    assert 1 <= best_chunks(model, work, fleet, most) <= min(most, work.parts)
    assert 1 <= usual_chunks(fleet, work.parts, most) <= min(most, work.parts)
    assert 1 <= usual_chunks(fleet, None, most) <= most


@given(models, works, st.integers(1, 500))
def test_dividing_adds_starts_and_nothing_else(model: CostModel, work: Work, chunks: int) -> None:
    total = chunks * model.seconds(work.items / chunks)
    assert total == pytest.approx(model.seconds(work.items) + (chunks - 1) * model.start)


@given(models, works, fleets, st.integers(2, 500))
def test_no_prediction_is_below_the_work_that_the_slots_share(
    model: CostModel, work: Work, fleet: Fleet, chunks: int
) -> None:
    chunks = min(chunks, work.parts)
    if chunks > 1:
        shared_work = chunks * model.seconds(work.items / chunks) / fleet.slots_for(chunks)
        assert predict(model, work, fleet, chunks) >= shared_work * (1 - 1e-9)


def test_even_chunks_come_in_whole_waves() -> None:
    model, work = CostModel(2.0, 1.0, spread=0.0, efficiency=0.01), Work(800.0, 800)
    fleet = Fleet(slots=8, slots_per_worker=1)
    assert predict(model, work, fleet, 8) == 102.0
    assert predict(model, work, fleet, 9) > predict(model, work, fleet, 16) == 104.0
    assert best_chunks(model, work, fleet, 200) == 8


def test_chunks_that_vary_are_made_smaller() -> None:
    fleet, work = Fleet(slots=8, slots_per_worker=1), Work(8000.0, 8000)
    counts = [best_chunks(CostModel(2.0, 1.0, spread=spread), work, fleet, 200) for spread in (0.0, 0.1, 0.5)]
    assert counts[0] == 8
    assert counts == sorted(counts)
    assert counts[2] >= 32
    assert all(count % 8 == 0 for count in counts)


def test_while_the_start_is_an_assumption_no_slot_gets_a_second_chunk() -> None:
    fleet, work = Fleet(slots=8, slots_per_worker=1), Work(8000.0, 8000)
    assert best_chunks(CostModel(2.0, 1.0, spread=0.5, sizes=2), work, fleet, 200) > 8
    assert best_chunks(CostModel(2.0, 1.0, spread=0.5, sizes=1), work, fleet, 200) == 8
    growing = Fleet(slots_per_worker=2, most_workers=10, chunks_per_worker=1)
    assert best_chunks(CostModel(2.0, 1.0, spread=0.0, sizes=1), work, growing, 200) == 20


def test_a_start_that_costs_more_than_the_work_is_paid_once() -> None:
    assert best_chunks(CostModel(30.0, 0.001), Work(1000.0, 1000), Fleet(slots=8, slots_per_worker=4), 200) == 1


def test_a_single_chunk_has_all_cores_of_one_worker_and_no_more() -> None:
    model, work = CostModel(2.0, 1.0), Work(800.0, 800)
    assert predict(model, work, Fleet(slots=8, slots_per_worker=8), 1) == 102.0
    assert predict(model, work, Fleet(slots=64, slots_per_worker=8), 1) == 102.0
    assert best_chunks(model, work, Fleet(slots=8, slots_per_worker=8), 200) == 1, "one worker needs no division"
    assert best_chunks(model, work, Fleet(slots=16, slots_per_worker=8), 200) >= 16
    one_core = CostModel(2.0, 1.0, efficiency=1 / 8)
    assert best_chunks(one_core, work, Fleet(slots=8, slots_per_worker=8), 200) >= 8


def test_a_fleet_that_grows_with_the_chunks_is_made_to_grow_where_that_pays() -> None:
    fleet = Fleet(slots=0, slots_per_worker=1, most_workers=10, chunks_per_worker=10)
    assert [fleet.slots_for(chunks) for chunks in (1, 10, 11, 95, 500)] == [1, 1, 2, 10, 10]
    costly = best_chunks(CostModel(1.0, 1.0), Work(10_000.0, 10_000), fleet, 200)
    assert fleet.slots_for(costly) == 10
    assert best_chunks(CostModel(1.0, 1e-4), Work(10_000.0, 10_000), fleet, 200) == 1


@pytest.mark.parametrize(
    ("fleet", "parts", "least", "expected"),
    [
        (Fleet(), 1000, 1, 1),
        (Fleet(slots=6, slots_per_worker=2), 1000, 1, 6),
        (Fleet(slots=6, slots_per_worker=2), 4, 1, 4),
        (Fleet(slots=6, slots_per_worker=2), 1000, 500, 2),
        (Fleet(slots=6, slots_per_worker=2), None, 1, 6),
        (Fleet(slots_per_worker=4, most_workers=3), 1000, 1, 12),
        (Fleet(slots_per_worker=4, most_workers=3, chunks_per_worker=10), 1000, 1, 4),
        (Fleet(slots=500), 1000, 1, 200),
    ],
)
def test_without_a_measurement_every_slot_gets_a_chunk(
    fleet: Fleet, parts: int | None, least: int, expected: int
) -> None:
    assert usual_chunks(fleet, parts, 200, least) == expected


def test_the_advice_says_why() -> None:
    fleet = Fleet(slots=8, slots_per_worker=2)
    unknown = advise(None, Work(10.0, 10), fleet, 200, "events", unknown="nothing was measured")
    assert (unknown.chunks, unknown.slots, unknown.section_seconds) == (8, 8, None)
    assert unknown.reason == "nothing was measured: a chunk for each slot, as far as there are enough events"
    known = advise(CostModel(2.0, 1.0, runs=3, sizes=2), Work(800.0, 800), fleet, 200, "events", unknown="")
    assert known.section_seconds == pytest.approx(predict(CostModel(2.0, 1.0), Work(800.0, 800), fleet, known.chunks))
    for part in ("on 8 slots", "start costs 2.0 s", "800.0 s of one slot", "3 earlier runs"):
        assert part in known.reason
    assert "assumption" not in known.reason
    assumed = advise(CostModel(2.0, 1.0, runs=1, sizes=1), Work(800.0, 800), fleet, 200, "events", unknown="")
    assert "assumption" in assumed.reason


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.integers(1, 30))
def test_chunks_on_slots_take_no_less_than_their_share_and_no_more_with_a_slot_more(
    seconds: list[float], slots: int
) -> None:
    took = makespan(seconds, slots)
    assert took >= max(sum(seconds) / slots, max(seconds)) - 1e-6
    assert took <= sum(seconds) / slots + max(seconds) + 1e-6, "Graham's bound"
    assert makespan(seconds, slots + 1) <= took + 1e-6


FIXED = (1, 2, 4, 8, 16, 32, 64, 128)
MADE_UP = [
    (start, work, spread, slots)
    for start in (0.2, 2.0, 20.0)
    for work in (10.0, 600.0, 20_000.0)
    for spread in (0.02, 0.15, 0.4)
    for slots in (2, 8, 24)
]


def simulate(model: CostModel, work: Work, fleet: Fleet, chunks: int) -> float:
    """The mean of sections whose chunks vary by chance, executed on the slots in the order of their numbers."""
    if chunks == 1:
        return model.seconds_alone(work.items, fleet.slots_per_worker)
    random = Random(f"{model} {fleet} {chunks}")  # noqa: S311 - chance that repeats, no secret
    usual = model.seconds(work.items / chunks)
    return (
        sum(
            makespan([usual * max(random.gauss(1, model.spread), 0.1) for _ in range(chunks)], fleet.slots_for(chunks))
            for _ in range(40)
        )
        / 40
    )


@pytest.mark.parametrize(("start", "seconds", "spread", "slots"), MADE_UP)
def test_auto_is_as_good_as_the_best_fixed_count(start: float, seconds: float, spread: float, slots: int) -> None:
    work = Work(1_000_000.0, 10_000)
    model = CostModel(start, seconds / work.items, spread=spread, efficiency=0.9)
    fleet = Fleet(slots=slots, slots_per_worker=2)

    auto = simulate(model, work, fleet, best_chunks(model, work, fleet, 200))

    best = min(simulate(model, work, fleet, chunks) for chunks in FIXED)
    assert auto <= best * 1.10


def test_over_all_models_auto_beats_every_fixed_count() -> None:
    work = Work(1_000_000.0, 10_000)
    lost = dict.fromkeys(("auto", *FIXED), 0.0)
    for start, seconds, spread, slots in MADE_UP:
        model = CostModel(start, seconds / work.items, spread=spread, efficiency=0.9)
        fleet = Fleet(slots=slots, slots_per_worker=2)
        took = {chunks: simulate(model, work, fleet, chunks) for chunks in FIXED}
        took |= {"auto": simulate(model, work, fleet, best_chunks(model, work, fleet, 200))}  # type: ignore[dict-item]
        for name, each in took.items():
            lost[name] += each / min(took.values()) - 1
    auto = lost.pop("auto") / len(MADE_UP)
    assert auto < 0.03
    assert auto < min(lost.values()) / len(MADE_UP) / 3
