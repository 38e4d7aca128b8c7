"""Who gets what: the order of claims, claims asked again, and claims that come too late."""

from uuid import uuid4

import pytest
from sqlalchemy import update

from shared.core.inputs import FileRef, RunInputs
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.execution import StageRow, SubTask
from shared.messages.catalogue import AttemptFinished, CancelRun, ChangePriority, ClaimWork, StartRun
from tests.task_controller.world import MODEL_QUEUE, World, cancel_is_heard

pytestmark = pytest.mark.integration

INPUTS, LOSSES, BOTH = RunKind.GENERATE_INPUTS, RunKind.GENERATE_LOSSES, RunKind.GENERATE_AND_RUN


def test_the_higher_priority_is_granted_first(world: World) -> None:
    world.started(INPUTS, priority=4)
    urgent = world.started(INPUTS, priority=8)
    world.started(INPUTS, priority=1)
    assert world.granted().run_id == urgent


def test_within_a_priority_the_run_requested_first_is_granted_first(world: World) -> None:
    runs = [world.started(INPUTS) for _ in range(3)]
    assert [world.granted().run_id for _ in runs] == runs


def test_a_run_requested_first_wins_although_it_is_planned_last(world: World) -> None:
    first = world.request(world.analysis(), INPUTS)
    second = world.started(INPUTS)
    world.tell(StartRun(first))
    assert [world.granted().run_id, world.granted().run_id] == [first, second]


def test_a_started_run_is_finished_before_the_next_begins(world: World) -> None:
    first, second = world.started(INPUTS, lookups=3), world.started(INPUTS, lookups=3)
    world.finish(world.granted())
    assert world.granted().run_id == first
    assert world.granted().run_id == second


def test_within_a_run_the_later_stage_is_granted_first(world: World) -> None:
    run_id = world.started(INPUTS, lookups=3)
    world.work_up_to("prepare-keys-file-0")
    # No plan of today makes two stages of one run ready at once; the order of claims does not count on that.
    with world.engine.begin() as connection:
        connection.execute(update(SubTask).where(SubTask.slug == "collect-keys").values(state="QUEUED"))
        connection.execute(update(StageRow).where(StageRow.step == "collect-keys").values(pending=0, queued=1))
    assert world.granted().slug == "collect-keys"
    assert world.run_state(run_id) == "ACTIVE"


def test_chunks_are_granted_in_their_order(world: World) -> None:
    world.started(INPUTS, lookups=3)
    world.work_up_to("prepare-keys-file-0")
    assert [world.granted().chunk for _ in range(3)] == [0, 1, 2]
    assert world.claim() is None


def test_a_priority_can_change_while_queued(world: World) -> None:
    first, second = world.started(INPUTS), world.started(INPUTS)
    world.set_priority(second, 9)
    assert [world.granted().run_id, world.granted().run_id] == [second, first]


def test_a_priority_changed_in_the_batch_that_plans_the_run_is_not_lost(world: World) -> None:
    first = world.started(INPUTS)
    second = world.request(world.analysis(), INPUTS)
    world.tell(StartRun(second), ChangePriority(second, 9))
    assert [world.granted().run_id, world.granted().run_id] == [second, first]


def test_what_is_tried_again_has_the_priority_that_was_set_while_it_ran(world: World) -> None:
    first, second = world.started(INPUTS), world.started(INPUTS)
    failing = world.granted()
    world.set_priority(first, 1)
    world.finish(failing, Cause.MODEL_ERROR)
    world.end_back_off()
    assert [world.granted().run_id, world.granted().run_id] == [second, first]


def test_a_priority_for_a_run_that_is_gone_changes_nothing(world: World) -> None:
    assert world.tell(ChangePriority(12345, 9)) == []


def test_claims_of_one_batch_get_different_sub_tasks_best_first(world: World) -> None:
    world.started(INPUTS, lookups=3)
    world.work_up_to("prepare-keys-file-0")
    replies = world.tell(*[ClaimWork(uuid4(), f"w{i}", MODEL_QUEUE, 0) for i in range(4)])
    grants = [reply.message.grant for reply in replies]  # type: ignore[attr-defined]
    assert [grant.chunk if grant else None for grant in grants] == [0, 1, 2, None]


def test_queues_do_not_mix(world: World) -> None:
    world.started(INPUTS)
    assert world.claim("Other-Model-1-v2") is None
    assert world.claim(RECORDER_QUEUE) is None
    assert world.claim(MODEL_QUEUE) is not None


def test_the_same_claim_asked_again_gets_the_same_grant_while_that_attempt_lives(world: World) -> None:
    world.started(INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    claim_id = uuid4()
    first = world.claim(claim_id=claim_id)
    assert first is not None
    assert world.claim(claim_id=claim_id) == first


def test_a_claim_that_is_asked_again_begins_its_lease_anew(world: World) -> None:
    world.started(INPUTS)
    claim_id = uuid4()
    grant = world.claim(claim_id=claim_id)
    assert grant is not None
    before = world.attempt(grant.attempt_id)
    assert world.claim(claim_id=claim_id) == grant
    after = world.attempt(grant.attempt_id)
    assert after.renewals == before.renewals + 1
    assert after.lease_until > before.lease_until
    assert after.state == before.state


def test_the_same_claim_twice_in_one_batch_gets_one_grant(world: World) -> None:
    world.started(INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    claim = ClaimWork(uuid4(), "w1", MODEL_QUEUE, 0)
    first, second = (reply.message for reply in world.tell(claim, claim))
    assert first == second
    assert world.granted().chunk == 1


@pytest.mark.parametrize("cause", [None, Cause.LOST, Cause.MODEL_ERROR, Cause.DRAINED])
def test_the_same_claim_asked_again_after_its_attempt_gets_nothing(world: World, cause: Cause | None) -> None:
    world.started(INPUTS, lookups=2)
    claim_id = uuid4()
    grant = world.claim(claim_id=claim_id)
    assert grant is not None
    world.finish(grant, cause)
    world.end_back_off()
    assert world.claim(claim_id=claim_id) is None
    assert world.claim() is not None


def test_a_claim_is_never_granted_behind_a_cancel(world: World) -> None:
    run_id = world.started(INPUTS)
    world.cancel(run_id)
    assert world.claim() is None


def test_a_claim_handled_with_the_cancel_gets_nothing(world: World) -> None:
    run_id = world.started(INPUTS)
    world.cancel(run_id)
    (reply,) = world.tell(ClaimWork(uuid4(), "w1", MODEL_QUEUE, 0), CancelRun(run_id))
    assert reply.message.grant is None  # type: ignore[attr-defined]
    assert world.run_state(run_id) == "CANCELLED"


def test_the_same_claim_asked_again_behind_a_cancel_gets_nothing(world: World) -> None:
    run_id = world.started(INPUTS)
    claim_id = uuid4()
    assert world.claim(claim_id=claim_id) is not None
    cancel_is_heard(world, run_id)
    assert world.claim(claim_id=claim_id) is None


def test_what_waits_for_its_back_off_is_not_granted(world: World) -> None:
    world.started(INPUTS)
    world.finish(world.granted(), Cause.MODEL_ERROR)
    assert world.claim() is None
    world.end_back_off()
    assert world.claim() is not None


def test_fences_grow_with_every_attempt_and_attempts_have_prefixes_of_their_own(world: World) -> None:
    world.started(INPUTS)
    first = world.granted()
    world.finish(first, Cause.DRAINED)
    second = world.granted()
    assert (first.fence, second.fence) == (1, 2)
    assert first.sub_task_id == second.sub_task_id
    for grant in (first, second):
        assert grant.key_prefix == f"analysis-{grant.analysis_id}_files-{grant.run_uuid}/attempt-{grant.attempt_id}/"
        assert grant.log_key == f"logs/run-{grant.run_uuid}/attempt-{grant.attempt_id}.log"


def test_a_grant_says_what_the_run_was_requested_with(world: World) -> None:
    files = {"location_file": FileRef("up/1", "loc.csv"), "settings_file": FileRef("up/2", "settings.json")}
    inputs = RunInputs(files, (FileRef("up/3", "events.bin"),), "EUR")
    run_id = world.started(INPUTS, lookups=4, inputs=inputs)
    grant = world.granted()
    assert (grant.files, grant.data_files, grant.reporting_currency) == (files, inputs.data_files, "EUR")
    assert (grant.run_id, grant.step, grant.phase) == (run_id, "prepare-input-generation-params", "files")
    assert (grant.chunk, grant.chunks, grant.lease_seconds) == (None, None, world.settings.lease)


def test_a_chunk_is_told_its_number_and_how_many_there_are(world: World) -> None:
    world.started(LOSSES, losses=2)
    world.work_up_to("generate-losses-chunk-0")
    first, second = world.granted(), world.granted()
    assert [(each.chunk, each.chunks, each.weight) for each in (first, second)] == [(0, 2, "one"), (1, 2, "one")]


def test_artifacts_of_serial_stages_are_merged_and_the_later_wins(world: World) -> None:
    world.started(INPUTS)
    old, new = FileRef("a/params.json", "params.json"), FileRef("b/params.json", "params.json")
    log = FileRef("a/log", "log.txt")
    world.finish(world.granted(), artifacts={"params": old, "log": log})
    world.finish(world.granted(), artifacts={"params": new})
    grant = world.granted()
    assert grant.files == {"location_file": FileRef("uploads/1.csv", "location.csv"), "params": new, "log": log}


def test_artifacts_of_a_run_hide_the_files_of_the_request(world: World) -> None:
    world.started(INPUTS)
    modified = FileRef("a/pre.csv", "pre_location.csv")
    world.finish(world.granted(), artifacts={"location_file": modified})
    assert world.granted().files["location_file"] == modified


def test_the_callback_gets_the_artifacts_of_all_chunks_in_their_order(world: World) -> None:
    world.started(INPUTS, lookups=12)
    world.work_up_to("prepare-keys-file-0")
    grants = [world.granted() for _ in range(12)]
    chunks = [{"chunk_keys": FileRef(f"k/{grant.chunk}", f"lookup-{grant.chunk}.tar.gz")} for grant in grants]
    for grant, artifacts in reversed(list(zip(grants, chunks, strict=True))):
        world.finish(grant, artifacts=artifacts)
    callback = world.granted()
    assert callback.slug == "collect-keys"
    assert list(callback.chunk_files) == chunks
    world.finish(callback)
    assert world.granted().chunk_files == ()


def test_a_claim_that_comes_with_the_end_that_makes_work_ready_gets_that_work(world: World) -> None:
    world.started(INPUTS)
    grant = world.granted()
    settled, answer = world.tell(AttemptFinished(grant.attempt_id, "w1"), ClaimWork(uuid4(), "w1", MODEL_QUEUE, 0))
    assert type(settled.message).__name__ == "AttemptSettled"
    assert answer.message.grant.slug == "pre-analysis-hook"  # type: ignore[attr-defined]
