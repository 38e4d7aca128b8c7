"""Resumed runs: what was completed is not computed again, and the end is that of a run that never stopped."""

from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from services.task_controller.settings import Settings
from shared.core.facts import StageFacts
from shared.core.inputs import FileRef
from shared.core.plan import RECORDER_QUEUE, Phase
from shared.core.resuming import phase_to_resume
from shared.core.retries import Cause, RetryPolicy
from shared.core.states import IllegalTransition, RunKind
from shared.database.execution import Run, RunFile, StageRow, SubTask
from shared.database.requests import current_run, lock_analysis, resume_run
from shared.database.resources import Analysis, File
from shared.messages.catalogue import CancelRun, Grant, StartRun
from tests.task_controller.world import World, cancel_is_heard

pytestmark = pytest.mark.integration

INPUTS, LOSSES, BOTH = RunKind.GENERATE_INPUTS, RunKind.GENERATE_LOSSES, RunKind.GENERATE_AND_RUN
CHUNKS = [f"generate-losses-chunk-{number}" for number in range(5)]
AFTER_CHUNKS = ["generate-losses-output", "record-losses-files", "cleanup-losses-generation"]


def resume(world: World, run_id: int) -> int:
    """Resume as the API does, and let the task controller hear of it; the id of the new run."""
    resumed = request_resume(world, run_id)
    world.tell(StartRun(resumed))
    return resumed


def request_resume(world: World, run_id: int) -> int:
    """Resume as the API does; nothing has been told yet."""
    with Session(world.engine) as session:
        analysis = lock_analysis(session, world.analysis_of(run_id))
        assert analysis is not None
        ended = current_run(session, analysis)
        assert ended is not None
        rows = session.scalars(select(StageRow).where(StageRow.run_id == ended.id).order_by(StageRow.position))
        phase = phase_to_resume(RunKind(ended.kind), [_facts(row) for row in rows])
        assert phase is not None
        new = resume_run(session, analysis, ended, phase, None)
        session.commit()
        return new.id


def _facts(row: StageRow) -> StageFacts:
    return StageFacts(
        row.position, row.step, Phase(row.phase), row.queue, row.size, optional=row.optional, completed=row.completed
    )


def complete(world: World, grant: Grant) -> None:
    """Complete an attempt, which leaves one object."""
    world.finish(grant, artifacts={grant.step: FileRef(f"{grant.key_prefix}out", grant.slug)})


def fail(world: World, slug: str) -> None:
    """Complete what is ready, but fail this sub-task for good."""
    while True:
        grant = world.claim() or world.claim(RECORDER_QUEUE)
        assert grant is not None, f"{slug} is never ready"
        if grant.slug != slug:
            complete(world, grant)
            continue
        world.finish(grant, Cause.MODEL_ERROR, message="it broke")
        if world.state_of(slug) == "ERROR":
            return
        world.end_back_off()


def left(world: World, run_id: int) -> Mapping[str, Any]:
    """What every sub-task of a run left, by slug."""
    return {row.slug: row.artifacts for row in world.sub_tasks(run_id)}


@pytest.fixture
def world(world: World, settings: Settings) -> World:
    """Errors of models are not tried again, so that a sub-task fails before its neighbours have been worked off."""
    retries = dict(RetryPolicy().retries) | {Cause.MODEL_ERROR: 0}
    world.settings = Settings(settings.database, settings.broker, policy=RetryPolicy(retries=retries))
    return world


def failed_at_chunk_3(world: World, kind: RunKind = LOSSES) -> int:
    """A run of five loss chunks, of which 0, 1 and 2 are completed and 3 has failed."""
    run_id = world.started(kind, losses=5)
    fail(world, "generate-losses-chunk-3")
    states = world.states(run_id)
    assert [states[slug] for slug in CHUNKS] == ["COMPLETED"] * 3 + ["ERROR", "CANCELLED"]
    assert world.run_state(run_id) == "FAILED"
    return run_id


def test_a_failed_run_goes_on_with_the_two_of_five_chunks_that_it_had_not_completed(world: World) -> None:
    failed = failed_at_chunk_3(world)

    resumed = resume(world, failed)

    assert (world.status(resumed), world.run_state(resumed)) == ("RUN_QUEUED", "ACTIVE")
    assert world.work_off() == [*CHUNKS[3:], *AFTER_CHUNKS]
    assert (world.status(resumed), world.run_state(resumed)) == ("RUN_COMPLETED", "COMPLETED")
    world.check_counters(resumed)


def test_the_step_after_the_chunks_gets_what_all_five_have_left_in_their_order(world: World) -> None:
    failed = failed_at_chunk_3(world)
    resumed = resume(world, failed)
    again = [world.granted(), world.granted()]
    for grant in again:
        complete(world, grant)

    output = world.granted()

    before = left(world, failed)
    refs = [next(iter(files.values())) for files in output.chunk_files]
    assert [ref.filename for ref in refs] == CHUNKS
    assert [ref.key for ref in refs[:3]] == [before[slug]["generate-losses-chunk"]["key"] for slug in CHUNKS[:3]]
    assert [ref.key for ref in refs[3:]] == [f"{grant.key_prefix}out" for grant in again]
    prepared = "prepare-losses-generation-directory"
    assert output.files[prepared].key == before[prepared][prepared]["key"], "an object of the failed run"
    assert output.run_id == resumed


def test_the_status_is_started_with_the_first_grant(world: World) -> None:
    resumed = resume(world, failed_at_chunk_3(world))
    assert world.status(resumed) == "RUN_QUEUED"

    world.granted()

    assert world.status(resumed) == "RUN_STARTED"


def test_copies_have_the_times_of_their_originals_and_no_attempt(world: World) -> None:
    failed = failed_at_chunk_3(world)

    resumed = resume(world, failed)

    rows = list(zip(world.sub_tasks(failed), world.sub_tasks(resumed), strict=True))
    done = [(old, new) for old, new in rows if old.state == "COMPLETED"]
    assert len(done) == 5
    for old, new in done:
        assert (new.state, new.attempt_id, new.copied_from_id) == ("COMPLETED", None, old.id)
        names = ("pending_time", "queue_time", "start_time", "end_time", "artifacts", "slug")
        assert [getattr(new, name) for name in names] == [getattr(old, name) for name in names]
    assert {new.copied_from_id for old, new in rows if old.state != "COMPLETED"} == {None}


def test_a_resumed_run_can_be_resumed_and_refers_to_the_originals(world: World) -> None:
    first = failed_at_chunk_3(world)
    second = resume(world, first)
    fail(world, "generate-losses-chunk-4")
    assert world.states(second)["generate-losses-chunk-3"] == "COMPLETED"

    third = resume(world, second)

    assert world.work_off() == [CHUNKS[4], *AFTER_CHUNKS]
    assert world.status(third) == "RUN_COMPLETED"
    owners = {row.id: row.run_id for run_id in (first, second) for row in world.sub_tasks(run_id)}
    origins = [owners[row.copied_from_id] for row in world.sub_tasks(third) if row.copied_from_id]
    assert origins == [first] * 5 + [second]


def test_a_cancelled_input_generation_goes_on_in_its_phase(world: World) -> None:
    run_id = world.started(INPUTS, lookups=3)
    world.work_up_to("prepare-keys-file-0")
    complete(world, world.granted())
    held = world.granted()
    cancel_is_heard(world, run_id)
    world.finish(held, Cause.CANCELLED)
    assert (world.run_state(run_id), world.status(run_id)) == ("CANCELLED", "INPUTS_GENERATION_CANCELLED")

    resumed = resume(world, run_id)

    assert world.status(resumed) == "INPUTS_GENERATION_QUEUED"
    slugs = world.work_off()
    assert slugs[:3] == ["prepare-keys-file-1", "prepare-keys-file-2", "collect-keys"]
    assert (world.status(resumed), world.run_state(resumed)) == ("READY", "COMPLETED")


def test_a_generate_and_run_whose_inputs_are_done_goes_on_with_the_losses(world: World) -> None:
    failed = failed_at_chunk_3(world, BOTH)
    with world.engine.begin() as connection:
        file = insert(File).values(key="k", filename="f", content_type="c", size=1).returning(File.id)
        connection.execute(insert(RunFile).values(run_id=failed, name="input_file", file_id=connection.scalar(file)))

    resumed = resume(world, failed)

    assert world.status(resumed) == "RUN_QUEUED"
    assert world.work_off() == [*CHUNKS[3:], *AFTER_CHUNKS]
    assert world.status(resumed) == "RUN_COMPLETED"
    assert world.value(select(RunFile.name).where(RunFile.run_id == resumed)) == "input_file"


def test_a_clean_up_that_was_left_is_done_although_the_losses_are_what_goes_on(world: World) -> None:
    run_id = world.started(BOTH)
    while world.status(run_id) != "READY":
        world.work_off(at_most=1)
    cancel_is_heard(world, run_id)
    assert (world.run_state(run_id), world.status(run_id)) == ("CANCELLED", "RUN_CANCELLED")

    resumed = resume(world, run_id)

    assert world.status(resumed) == "RUN_QUEUED"
    assert world.granted().slug == "cleanup-input-generation"
    assert world.status(resumed) == "RUN_QUEUED"
    world.died()
    world.end_back_off()
    assert world.work_off()[:2] == ["cleanup-input-generation", "prepare-losses-generation-params"]
    assert world.status(resumed) == "RUN_COMPLETED"


def test_a_run_that_has_not_ended_cannot_be_resumed(world: World) -> None:
    run_id = world.started(LOSSES, losses=2)
    world.work_up_to(CHUNKS[0])
    world.granted()
    cancel_is_heard(world, run_id)
    assert world.run_state(run_id) == "CANCELLING"

    with pytest.raises(IllegalTransition):
        request_resume(world, run_id)


def test_a_resumed_run_is_cancelled_like_any(world: World) -> None:
    resumed = resume(world, failed_at_chunk_3(world))
    held = world.granted()

    cancel_is_heard(world, resumed)
    world.finish(held, Cause.CANCELLED)

    assert (world.run_state(resumed), world.status(resumed)) == ("CANCELLED", "RUN_CANCELLED")
    assert [world.states(resumed)[slug] for slug in CHUNKS] == ["COMPLETED"] * 3 + ["CANCELLED"] * 2
    world.check_counters(resumed)


def test_a_resumed_run_that_was_cancelled_before_its_plan_ends(world: World) -> None:
    failed = failed_at_chunk_3(world)
    resumed = request_resume(world, failed)

    world.cancel(resumed)
    world.tell(StartRun(resumed), CancelRun(resumed))

    assert (world.run_state(resumed), world.sub_tasks(resumed)) == ("CANCELLED", [])


def test_a_plan_that_the_completed_work_does_not_fit_is_refused_with_its_reason(world: World) -> None:
    failed = failed_at_chunk_3(world)
    slugs = count()
    with world.engine.begin() as connection:
        params = (SubTask.run_id == failed) & (SubTask.slug == "prepare-losses-generation-params")
        connection.execute(update(SubTask).where(params).values(slug=f"of an older version {next(slugs)}"))

    resumed = resume(world, failed)

    assert (world.run_state(resumed), world.status(resumed)) == ("FAILED", "RUN_ERROR")
    assert "Request a new run" in world.value(select(Run.error).where(Run.id == resumed))
    assert set(world.states(resumed).values()) == {"COMPLETED", "CANCELLED"}
    world.check_counters(resumed)


def test_inherited_losses_that_cannot_be_planned_are_a_run_error(world: World) -> None:
    failed = failed_at_chunk_3(world, BOTH)
    resumed = request_resume(world, failed)
    with world.engine.begin() as connection:
        connection.execute(update(Run).where(Run.id == resumed).values(run_mode="V9"))

    world.tell(StartRun(resumed))

    assert (world.run_state(resumed), world.status(resumed)) == ("FAILED", "RUN_ERROR")
    assert world.value(select(Analysis.losses_traceback_run_id)) == resumed
