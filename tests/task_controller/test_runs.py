"""Whole runs from the request to their end: statuses, times, rows and messages on the way."""

import pytest
from sqlalchemy import select, update

from shared.core.chunking import ChunkingOptions, ChunkStrategy
from shared.core.inputs import ChunkingFacts, FileRef
from shared.core.plan import RECORDER_QUEUE
from shared.core.states import IllegalTransition, RunKind, SubTaskState
from shared.database.execution import Run, StageRow
from shared.database.resources import Analysis
from shared.messages.catalogue import StartRun, Token
from shared.messages.envelope import decode
from tests.task_controller.world import MODEL_QUEUE, V1_QUEUE, World, references

pytestmark = pytest.mark.integration

INPUTS, LOSSES, BOTH = RunKind.GENERATE_INPUTS, RunKind.GENERATE_LOSSES, RunKind.GENERATE_AND_RUN


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (INPUTS, ["INPUTS_GENERATION_QUEUED", "INPUTS_GENERATION_STARTED", "READY"]),
        (LOSSES, ["RUN_QUEUED", "RUN_STARTED", "RUN_COMPLETED"]),
        (
            BOTH,
            ["INPUTS_GENERATION_QUEUED", "INPUTS_GENERATION_STARTED", "READY", "RUN_STARTED", "RUN_COMPLETED"],
        ),
    ],
)
def test_a_run_goes_through_the_statuses_of_its_kind(world: World, kind: RunKind, statuses: list[str]) -> None:
    run_id = world.started(kind, lookups=3, losses=2)
    seen = [world.status(run_id)]
    slugs: list[str] = []
    while grant := world.claim() or world.claim(RECORDER_QUEUE):
        seen.append(world.status(run_id))
        slugs.append(grant.slug)
        world.finish(grant)
        seen.append(world.status(run_id))
        world.check_counters(run_id)
    assert list(dict.fromkeys(seen)) == statuses
    assert slugs == [row.slug for row in world.sub_tasks(run_id)]
    assert world.run_state(run_id) == "COMPLETED"


def test_sub_task_rows_exist_before_started_is_visible(world: World) -> None:
    run_id = world.request(world.analysis(), BOTH, lookups=3, losses=2)
    assert (world.status(run_id), world.sub_tasks(run_id)) == ("INPUTS_GENERATION_QUEUED", [])
    world.tell(StartRun(run_id))
    assert world.status(run_id) == "INPUTS_GENERATION_QUEUED"
    assert [row.state for row in world.sub_tasks(run_id)] == ["QUEUED"] + ["PENDING"] * 15
    world.granted()
    assert world.status(run_id) == "INPUTS_GENERATION_STARTED"


def test_the_chunk_counts_are_written_on_the_run_and_the_analysis(world: World) -> None:
    run_id = world.started(BOTH, lookups=3, losses=2)
    query = select(Analysis.lookup_chunks, Analysis.analysis_chunks, Run.lookup_chunks, Run.loss_chunks)
    with world.engine.connect() as connection:
        row = connection.execute(query.join(Run, Run.analysis_id == Analysis.id).where(Run.id == run_id)).one()
    assert tuple(row) == (3, 2, 3, 2)


def test_losses_leave_the_lookup_chunks_of_the_inputs_alone(world: World) -> None:
    run_id = world.started(INPUTS, lookups=3)
    world.work_off()
    losses = world.request(world.analysis_of(run_id), LOSSES, losses=2)
    world.tell(StartRun(losses))
    analysis = select(Analysis.lookup_chunks).where(Analysis.id == world.analysis_of(run_id))
    assert world.value(analysis) == 3


def test_starting_a_run_twice_plans_it_once(world: World) -> None:
    run_id = world.started(INPUTS)
    before = world.sub_tasks(run_id)
    world.tell(StartRun(run_id), StartRun(run_id))
    assert world.sub_tasks(run_id) == before
    assert len(world.posted(Token)) == 1


def test_a_run_that_is_not_there_is_not_started(world: World) -> None:
    assert world.tell(StartRun(4711)) == []


def test_every_sub_task_that_becomes_ready_has_a_token_with_the_priority_of_its_run(world: World) -> None:
    world.started(INPUTS, lookups=5, priority=7)
    world.work_off()
    tokens = [(decode(row.body), row.routing_key, row.copies, row.priority) for row in world.posted(Token)]
    model, recorder = Token(MODEL_QUEUE), Token(RECORDER_QUEUE)
    expected = [(model, 1), (model, 1), (model, 5), (model, 1), (model, 1), (recorder, 1), (model, 1)]
    assert tokens == [(token, token.queue, copies, 7) for token, copies in expected]


def test_times_are_written_as_sub_tasks_go_on(world: World) -> None:
    run_id = world.started(INPUTS)
    first = world.sub_tasks(run_id)[0]
    assert first.pending_time <= first.queue_time
    assert (first.start_time, first.end_time) == (None, None)
    grant = world.granted()
    world.finish(grant)
    done = world.sub_tasks(run_id)[0]
    assert done.queue_time < done.start_time < done.end_time
    attempt = world.attempt(grant.attempt_id)
    assert (attempt.state, attempt.cause, attempt.granted_at) == ("completed", None, done.start_time)
    assert attempt.ended_at == done.end_time


def test_what_a_stage_leaves_is_kept_on_the_sub_task_and_for_later_stages(world: World) -> None:
    run_id = world.started(INPUTS)
    world.work_off(at_most=1)
    left = world.value(select(StageRow.artifacts).where(StageRow.run_id == run_id, StageRow.position == 0))
    assert set(references(left)) == {"prepare-input-generation-params"}
    assert world.sub_tasks(run_id)[0].artifacts == left


def test_a_run_that_cannot_be_planned_fails_with_its_reason(world: World) -> None:
    run_id = world.started(INPUTS, rows=0)
    assert (world.run_state(run_id), world.status(run_id)) == ("FAILED", "INPUTS_GENERATION_ERROR")
    error = world.value(select(Run.error).where(Run.id == run_id))
    assert error == 'portfolio: "location_file" must at least one row'


def test_losses_that_cannot_be_planned_are_a_run_error(world: World) -> None:
    facts = ChunkingFacts(ChunkingOptions(loss_strategy=ChunkStrategy.DYNAMIC), events=None)
    run_id = world.started(LOSSES, facts=facts)
    assert (world.run_state(run_id), world.status(run_id)) == ("FAILED", "RUN_ERROR")


def test_a_run_of_a_mode_that_no_worker_executes_fails_with_a_reason(world: World) -> None:
    run_id = world.request(world.analysis(), INPUTS)
    with world.engine.begin() as connection:
        connection.execute(update(Run).where(Run.id == run_id).values(run_mode="V9"))
    world.tell(StartRun(run_id))
    assert (world.status(run_id), world.run_state(run_id)) == ("INPUTS_GENERATION_ERROR", "FAILED")
    assert "No worker executes runs of mode V9" in world.value(select(Run.error).where(Run.id == run_id))


@pytest.mark.parametrize(
    ("kind", "step", "started", "ended"),
    [
        (INPUTS, "generate-input", "INPUTS_GENERATION_STARTED", "READY"),
        (LOSSES, "run-analysis", "RUN_STARTED", "RUN_COMPLETED"),
    ],
)
def test_a_run_of_v1_is_one_grant_on_its_own_queue_then_recorded(
    world: World, kind: RunKind, step: str, started: str, ended: str
) -> None:
    # Given a run of v1, which knows of no chunks
    run_id = world.started(kind, mode="V1", facts=ChunkingFacts())
    assert world.claim() is None, "nothing for workers of v2"
    # When a worker of v1 does its one step
    grant = world.granted(V1_QUEUE)
    assert (grant.step, grant.slug, grant.weight, grant.chunk) == (step, step, "all", None)
    assert world.status(run_id) == started
    world.finish(grant, artifacts={"output_location": FileRef(f"{grant.key_prefix}out", "out.tar.gz")})
    # Then it is recorded like any other
    recording = world.granted(RECORDER_QUEUE)
    assert recording.files["output_location"].key == f"{grant.key_prefix}out"
    world.finish(recording)
    assert world.status(run_id) == ended
    world.finish(world.granted(V1_QUEUE))
    assert world.run_state(run_id) == "COMPLETED"
    world.check_counters(run_id)


def test_a_step_of_v1_is_tried_again_and_then_fails_its_run(world: World) -> None:
    run_id = world.started(LOSSES, mode="V1", facts=ChunkingFacts())
    world.fail_for_good(queue=V1_QUEUE)
    assert (world.status(run_id), world.run_state(run_id)) == ("RUN_ERROR", "FAILED")


def test_a_run_whose_facts_cannot_be_read_fails_instead_of_waiting_for_ever(world: World) -> None:
    run_id = world.request(world.analysis(), INPUTS)
    with world.engine.begin() as connection:
        connection.execute(Run.__table__.update().values(facts={"options": {"lookup_strategy": "GUESS"}}))
    world.tell(StartRun(run_id))
    assert (world.run_state(run_id), world.status(run_id)) == ("FAILED", "INPUTS_GENERATION_ERROR")


def test_a_second_run_is_refused_while_a_generate_and_run_is_in_its_moment_of_ready(world: World) -> None:
    run_id = world.started(BOTH)
    while world.status(run_id) != "READY":
        world.work_off(at_most=1)
    for kind in (INPUTS, LOSSES):
        with pytest.raises(IllegalTransition):
            world.request(world.analysis_of(run_id), kind)


def test_inputs_that_are_ready_can_be_run_although_their_cleanup_still_waits(world: World) -> None:
    run_id = world.started(INPUTS)
    while world.status(run_id) != "READY":
        world.work_off(at_most=1)
    losses = world.request(world.analysis_of(run_id), LOSSES)
    world.tell(StartRun(losses))
    world.work_off()
    assert (world.run_state(run_id), world.run_state(losses)) == ("COMPLETED", "COMPLETED")
    assert world.status(run_id) == "RUN_COMPLETED"


def test_the_weight_of_sub_tasks_is_that_of_the_plan(world: World) -> None:
    run_id = world.started(LOSSES, losses=1)
    heavy = [row.slug for row in world.sub_tasks(run_id) if row.weight == "all"]
    assert heavy == ["generate-losses-chunk-0", "generate-losses-output"]
    assert {row.state for row in world.sub_tasks(run_id)} == {SubTaskState.QUEUED, SubTaskState.PENDING}
