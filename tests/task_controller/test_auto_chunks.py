"""AUTO in the planning of runs: what it learns from, which slots it counts, what it leaves behind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from shared.core.chunking import ChunkingOptions, ChunkStrategy
from shared.core.inputs import ChunkingFacts
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.chunk_history import RUNS_READ
from shared.database.execution import Run, Worker
from shared.database.resources import Analysis, ModelScaling
from shared.messages.catalogue import StartRun
from tests.task_controller.test_resumed_runs import resume
from tests.task_controller.world import MODEL_QUEUE, World, cancel_is_heard

pytestmark = pytest.mark.integration

INPUTS, LOSSES, BOTH = RunKind.GENERATE_INPUTS, RunKind.GENERATE_LOSSES, RunKind.GENERATE_AND_RUN
AUTO = ChunkingOptions(lookup_strategy=ChunkStrategy.AUTO, loss_strategy=ChunkStrategy.AUTO)
START = datetime(2025, 3, 1, tzinfo=UTC)
UNKNOWN_EVENTS = "the number of events is not known (no event set)"


def worker(world: World, name: str, slots: int, queue: str = MODEL_QUEUE, **columns: Any) -> None:
    """A worker that has just been heard of, unless told otherwise."""
    row = {"worker_id": name, "queue": queue, "host": "h", "slots": slots, "free_slots": 0, "draining": False}
    with world.engine.begin() as connection:
        connection.execute(insert(Worker).values(**row | columns))


def auto(world: World, kind: RunKind, rows: int | None = 10_000, events: int | None = 1_000, **more: Any) -> Any:
    """A planned run whose strategy is AUTO; its row."""
    unknown = None if events else "no event set"
    facts = ChunkingFacts(more.pop("options", AUTO), rows, events, unknown)
    return row_of(world, world.started(kind, facts=facts, **more))


def row_of(world: World, run_id: int) -> Any:
    """The row of a run."""
    with world.engine.connect() as connection:
        return connection.execute(select(Run.__table__).where(Run.id == run_id)).one()


def ran(world: World, kind: RunKind, chunks: int, start: float, rest: float, **sizes: Any) -> int:
    """An earlier run, completed, whose chunks took `start` seconds and together `rest` more; its id."""
    fixed = ChunkingOptions(fixed_lookup_chunks=chunks, fixed_analysis_chunks=chunks)
    run_id = world.started(kind, facts=ChunkingFacts(fixed, sizes.get("rows", 10_000), sizes.get("events", 1_000)))
    took = timedelta(seconds=start + rest / chunks)
    while grant := world.claim() or world.claim(RECORDER_QUEUE):
        world.finish(grant, started_at=START, finished_at=START + (took if grant.chunks else timedelta(seconds=1)))
    assert world.run_state(run_id) == "COMPLETED"
    return run_id


def test_without_history_every_slot_of_the_living_fleet_gets_a_chunk(world: World) -> None:
    worker(world, "w1", 4)
    worker(world, "w2", 4)
    worker(world, "draining", 4, draining=True)
    worker(world, "dead", 4, died_at=func.now())
    worker(world, "silent", 4, last_seen=func.now() - timedelta(minutes=5))
    worker(world, "of another model", 4, queue="another")

    run = auto(world, BOTH)

    assert (run.lookup_chunks, run.loss_chunks) == (8, 8)
    lookup, losses = run.chunk_advice["lookup"], run.chunk_advice["losses"]
    assert (lookup["chunks"], lookup["slots"], lookup["runs"]) == (8, 8, 0)
    assert lookup["reason"].startswith("no lookup of this model has been measured yet: ")
    assert losses["reason"].startswith("no losses of this model with a known number of events have been measured yet: ")
    counts = select(Analysis.lookup_chunks, Analysis.analysis_chunks).where(Analysis.id == run.analysis_id)
    with world.engine.connect() as connection:
        assert tuple(connection.execute(counts).one()) == (8, 8)
    assert len([slug for slug in world.states(run.id) if slug.startswith("generate-losses-chunk-")]) == 8


def test_a_fleet_that_has_no_worker_yet_is_the_one_that_it_may_grow_to(world: World) -> None:
    scaling = {"scaling_strategy": "FIXED_WORKERS", "worker_count_fixed": 3, "worker_count_max": 10}
    with world.engine.begin() as connection:
        connection.execute(insert(ModelScaling).values(model_id=world.model_id, **scaling))
    worker(world, "of yesterday", 2, last_seen=func.now() - timedelta(days=1))
    assert auto(world, LOSSES).loss_chunks == 6

    with world.engine.begin() as connection:
        connection.execute(update(ModelScaling).values(scaling_strategy="QUEUE_LOAD"))
    assert auto(world, LOSSES).loss_chunks == 2, "one analysis, one worker"

    with world.engine.begin() as connection:
        connection.execute(update(ModelScaling).values(scaling_strategy="DYNAMIC_TASKS", chunks_per_worker=1))
    assert auto(world, LOSSES).loss_chunks == 20


def test_counts_follow_what_earlier_runs_have_cost(world: World) -> None:
    for name in ("w1", "w2"):
        worker(world, name, 4)
    ran(world, BOTH, chunks=2, start=2.0, rest=800.0)
    ran(world, BOTH, chunks=16, start=2.0, rest=800.0)

    run = auto(world, BOTH)

    for advice, unit, items in (
        (run.chunk_advice["lookup"], "locations", 10_000),
        (run.chunk_advice["losses"], "events at locations", 10_000_000),
    ):
        assert (advice["runs"], advice["unit"], advice["items"]) == (2, unit, items)
        assert advice["start_seconds"] == pytest.approx(2.0)
        assert advice["seconds_per_item"] == pytest.approx(800.0 / items)
        assert advice["chunks"] % 8 == 0
        assert 102 < advice["section_seconds"] < 115
    assert run.lookup_chunks == run.chunk_advice["lookup"]["chunks"]
    assert run.loss_chunks == run.chunk_advice["losses"]["chunks"]


def test_little_work_is_not_divided(world: World) -> None:
    for name in ("w1", "w2"):
        worker(world, name, 4)
    for chunks in (2, 16):
        ran(world, BOTH, chunks=chunks, start=5.0, rest=800.0)

    run = auto(world, BOTH, rows=3)

    assert (run.lookup_chunks, run.loss_chunks) == (1, 1)
    assert "alone on all cores of a worker" in run.chunk_advice["losses"]["reason"]


def test_losses_without_a_number_of_events_are_planned_all_the_same(world: World) -> None:
    worker(world, "w1", 4)
    ran(world, LOSSES, chunks=2, start=2.0, rest=800.0)

    run = auto(world, LOSSES, events=None)

    assert (run.loss_chunks, run.chunk_advice["losses"]["section_seconds"]) == (4, None)
    assert run.chunk_advice["losses"]["reason"].startswith(UNKNOWN_EVENTS)


def test_losses_whose_locations_are_not_known_are_measured_by_events(world: World) -> None:
    worker(world, "w1", 4)
    worker(world, "w2", 4)
    ran(world, LOSSES, chunks=2, start=2.0, rest=800.0)

    run = auto(world, LOSSES, rows=None)

    assert (run.chunk_advice["losses"]["unit"], run.chunk_advice["losses"]["items"]) == ("events", 1000)


def test_retried_chunks_and_those_of_runs_that_failed_teach_nothing(world: World) -> None:
    worker(world, "w1", 4)
    worker(world, "w2", 4)
    run_id = world.started(LOSSES, losses=2, facts=ChunkingFacts(ChunkingOptions(fixed_analysis_chunks=2), 10, 10))
    while grant := world.claim() or world.claim(RECORDER_QUEUE):
        if grant.chunks and grant.fence == 1:
            world.finish(grant, Cause.MODEL_ERROR, started_at=START, finished_at=START + timedelta(hours=9))
            world.end_back_off()
        else:
            world.finish(grant, started_at=START, finished_at=START + timedelta(hours=9))
    assert world.run_state(run_id) == "COMPLETED"
    cancelled = world.started(LOSSES, facts=ChunkingFacts(ChunkingOptions(fixed_analysis_chunks=2), 10, 10))
    world.work_up_to("generate-losses-chunk-0")
    world.finish(world.granted(), started_at=START, finished_at=START + timedelta(hours=9))
    cancel_is_heard(world, cancelled)

    assert auto(world, LOSSES).chunk_advice["losses"]["runs"] == 0


def test_only_the_newest_runs_count(world: World) -> None:
    worker(world, "w1", 4)
    ran(world, LOSSES, chunks=2, start=500.0, rest=0.0)
    with world.engine.begin() as connection:
        old = connection.execute(select(Run.__table__)).one()._asdict()
        del old["id"]
        copies = [old | {"run_uuid": f"{number:032}"} for number in range(RUNS_READ)]
        connection.execute(insert(Run), copies)

    assert auto(world, LOSSES).chunk_advice["losses"]["runs"] == 0


def test_a_resumed_run_has_the_counts_that_the_ended_one_had(world: World) -> None:
    worker(world, "w1", 4)
    first = auto(world, LOSSES)
    world.work_up_to("generate-losses-chunk-0")
    world.finish(world.granted())
    cancel_is_heard(world, first.id)
    for name in ("w2", "w3"):
        worker(world, name, 4)

    resumed = row_of(world, resume(world, first.id))

    assert (first.loss_chunks, resumed.loss_chunks) == (4, 4)
    assert resumed.chunk_advice == first.chunk_advice
    assert world.state_of("generate-losses-chunk-0") == "COMPLETED"
    assert world.run_state(resumed.id) == "ACTIVE"


def test_a_resumed_run_that_never_had_a_plan_is_advised_anew(world: World) -> None:
    worker(world, "w1", 4)
    run_id = world.request(world.analysis("READY"), LOSSES, facts=ChunkingFacts(AUTO, 10_000, 1_000))
    cancel_is_heard(world, run_id)
    assert row_of(world, run_id).loss_chunks is None

    assert row_of(world, resume(world, run_id)).loss_chunks == 4


def test_a_lookup_without_rows_cannot_be_planned_by_auto_either(world: World) -> None:
    run = auto(world, INPUTS, rows=0)
    assert (run.state, run.error) == ("FAILED", 'portfolio: "location_file" must at least one row')


def test_the_most_chunks_that_the_options_allow_bind_auto_too(world: World) -> None:
    worker(world, "w1", 16)
    worker(world, "w2", 16)
    options = ChunkingOptions(loss_strategy=ChunkStrategy.AUTO, dynamic_chunks_max=5)
    assert auto(world, LOSSES, options=options).loss_chunks == 5


def test_other_strategies_leave_no_advice(world: World) -> None:
    assert row_of(world, world.started(LOSSES, losses=3)).chunk_advice == {}


def test_history_is_found_by_index(world: World) -> None:
    world.tell(StartRun(world.request(world.analysis("READY"), LOSSES)))
    with world.engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        query = "SELECT id FROM runs WHERE model_queue = 'q' AND state = 'COMPLETED' ORDER BY id DESC LIMIT 20"
        plan = " ".join(connection.exec_driver_sql(f"EXPLAIN {query}").scalars())
    assert "ix_runs_completed" in plan
    assert "Sort" not in plan
