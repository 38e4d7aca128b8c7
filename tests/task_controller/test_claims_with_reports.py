"""A report that brings a claim along, which no token has led to: one transaction, and what becomes of tokens."""

from random import random
from typing import Any
from uuid import uuid4

import pytest

from services.task_controller.claims import find_candidates, grant, look_again
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.settlement import Place, settle
from shared.database.transactions import in_working_set
from shared.database.working_set import WorkingSet
from shared.messages.catalogue import (
    AttemptFinished,
    AttemptRefused,
    AttemptSettled,
    CancelRun,
    ClaimAnswered,
    ClaimWork,
    Grant,
    Token,
)
from tests.task_controller.world import MODEL_QUEUE, World, references

pytestmark = pytest.mark.integration

INPUTS, LOSSES = RunKind.GENERATE_INPUTS, RunKind.GENERATE_LOSSES


def next_claim(worker: str = "w1", queue: str = MODEL_QUEUE) -> ClaimWork:
    """A claim without a token."""
    return ClaimWork(uuid4(), worker, queue, 0, by_token=False)


def finished(grant: Grant, cause: Cause | None = None, worker: str = "w1", **more: Any) -> AttemptFinished:
    """A report that brings a claim along."""
    return AttemptFinished(grant.attempt_id, worker, cause, claim=next_claim(worker), **more)


def answer_to(world: World, report: AttemptFinished) -> ClaimAnswered:
    """The one answer to a report that counts and its claim."""
    (reply,) = world.tell(report)
    assert isinstance(reply.message, ClaimAnswered)
    assert reply.message.settled == report.attempt_id
    return reply.message


def tokens(world: World, queue: str = MODEL_QUEUE) -> int:
    """How many tokens the outbox has for a queue."""
    return sum(row.copies for row in world.posted(Token) if row.routing_key == queue)


def test_one_answer_settles_the_report_and_grants_what_it_has_made_ready(world: World) -> None:
    run_id = world.started(INPUTS)
    first = world.granted()
    left = {"params": world_reference("params.json")}
    answer = answer_to(world, finished(first, artifacts=references(left)))
    assert answer.grant is not None
    assert answer.grant.slug == "pre-analysis-hook"
    assert answer.grant.files["params"].key == "left/params.json", "what the same transaction has kept"
    assert world.state_of(first.slug) == "COMPLETED"
    assert world.state_of("pre-analysis-hook") == "STARTED"
    assert world.attempt(answer.grant.attempt_id).worker_id == "w1"
    world.check_counters(run_id)


def world_reference(filename: str) -> dict[str, str]:
    """A file that an attempt has left."""
    return {"key": f"left/{filename}", "filename": filename}


def test_the_token_of_what_is_granted_at_once_is_taken_back(world: World) -> None:
    world.started(INPUTS)
    before = tokens(world)
    answer = answer_to(world, finished(world.granted()))
    assert (tokens(world), answer.token_left) == (before, False)


def test_a_parallel_section_gets_a_token_less_than_it_has_chunks(world: World) -> None:
    world.started(INPUTS, lookups=5)
    answer = answer_to(world, finished(world.granted()))
    before = tokens(world)
    assert answer.grant is not None
    chunk = answer_to(world, finished(answer.grant)).grant
    assert chunk is not None
    assert chunk.slug == "prepare-keys-file-0"
    assert tokens(world) == before + 4


def test_where_the_token_is_on_its_way_already_the_worker_is_told_to_remove_one(world: World) -> None:
    world.started(INPUTS, lookups=3)
    world.work_up_to("prepare-keys-file-0")
    first = world.granted()
    before = tokens(world)
    answer = answer_to(world, finished(first))
    assert answer.grant is not None
    assert (answer.grant.chunk, answer.token_left, tokens(world)) == (1, True, before)


def test_the_chunks_of_the_section_before_are_in_the_grant_of_their_callback(world: World) -> None:
    world.started(INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    grants = [world.granted(), world.granted()]
    left = [{"chunk_keys": world_reference(f"{number}")} for number in range(2)]
    world.finish(grants[1], artifacts=references(left[1]))
    answer = answer_to(world, finished(grants[0], artifacts=references(left[0])))
    assert answer.grant is not None
    assert answer.grant.slug == "collect-keys"
    assert list(answer.grant.chunk_files) == [references(each) for each in left]


def test_what_follows_on_another_queue_is_not_granted_and_keeps_its_token(world: World) -> None:
    world.started(INPUTS)
    world.work_up_to("record-input-files")
    before = tokens(world, RECORDER_QUEUE)
    assert before == 1
    assert world.claim() is None


def test_the_run_requested_first_goes_before_what_the_report_has_made_ready(world: World) -> None:
    first, second = world.started(INPUTS, priority=2), world.started(INPUTS)
    grant = world.granted()
    assert grant.run_id == second
    world.set_priority(first, 9)
    answer = answer_to(world, finished(grant))
    assert answer.grant is not None
    assert answer.grant.run_id == first


def test_reports_with_claims_of_one_batch_get_different_sub_tasks(world: World) -> None:
    run_id = world.started(INPUTS, lookups=4)
    world.work_up_to("prepare-keys-file-0")
    grants = [world.granted(worker=f"w{number}") for number in range(2)]
    replies = world.tell(*[finished(grant, worker=f"w{number}") for number, grant in enumerate(grants)])
    assert [reply.worker_id for reply in replies] == ["w0", "w1"]
    assert [reply.message.grant.chunk for reply in replies] == [2, 3]  # type: ignore[attr-defined]
    world.check_counters(run_id)


def test_the_claim_asked_again_alone_gets_the_same_grant(world: World) -> None:
    world.started(INPUTS)
    report = finished(world.granted())
    grant = answer_to(world, report).grant
    assert report.claim is not None
    (again,) = world.tell(report.claim)
    assert again.message == ClaimAnswered(report.claim.claim_id, grant)


def test_the_message_that_comes_twice_settles_and_grants_once(world: World) -> None:
    run_id = world.started(INPUTS)
    report = finished(world.granted())
    assert answer_to(world, report).grant == answer_to(world, report).grant
    world.check_counters(run_id)
    together = finished(world_grant(world, "pre-analysis-hook"))
    first, second = (reply.message for reply in world.tell(together, together))
    assert first == second
    world.check_counters(run_id)


def world_grant(world: World, slug: str) -> Grant:
    """The grant of a sub-task that has been started, by its claim asked again."""
    row = next(row for row in world.sub_tasks(1) if row.slug == slug)
    again = world.claim(claim_id=world.attempt(row.attempt_id).claim_id)
    assert again is not None
    return again


def test_a_report_that_is_refused_is_told_so_and_its_claim_is_answered_all_the_same(world: World) -> None:
    world.started(INPUTS)
    given_up = world.granted()
    world.finish(given_up, Cause.LOST)
    world.end_back_off()
    newer = world.granted(worker="w2")
    refused, answer = world.tell(finished(given_up))
    assert isinstance(refused.message, AttemptRefused)
    assert answer.message == ClaimAnswered(answer.message.claim_id)  # type: ignore[attr-defined]
    assert world.attempt(newer.attempt_id).state == "granted"


def test_a_failure_is_counted_and_its_sub_task_waits_for_its_back_off(world: World) -> None:
    world.started(INPUTS)
    answer = answer_to(world, finished(world.granted(), Cause.MODEL_ERROR, message="it broke"))
    assert answer.grant is None
    assert world.posted(Token)[-1].not_before is not None


def test_nothing_is_granted_behind_a_cancel_that_comes_with_the_report(world: World) -> None:
    run_id = world.started(INPUTS)
    report = finished(world.granted())
    world.cancel(run_id)
    (reply,) = world.tell(report, CancelRun(run_id))
    assert reply.message == ClaimAnswered(report.claim.claim_id, settled=report.attempt_id)  # type: ignore[union-attr]
    assert world.run_state(run_id) == "CANCELLED"


def test_what_another_transaction_makes_ready_meanwhile_is_left_to_the_next_claim(world: World) -> None:
    """Its run has not been locked, and runs are locked in one order."""
    run_id = world.started(INPUTS)
    report = finished(world.granted())
    assert report.claim is not None
    claims, places = [report.claim], {report.attempt_id: Place(run_id, world.sub_tasks(run_id)[0].id)}

    def interrupted(work: WorkingSet) -> list[ClaimAnswered]:
        candidates = find_candidates(work.connection, claims)
        work.lock({run_id})
        world.started(INPUTS, priority=9)
        settle(work, [report], places, random)
        return grant(work, claims, look_again(work, claims, candidates), world.settings.lease)

    (answer,) = in_working_set(world.engine, world.settings.policy, interrupted)
    assert answer.grant is None


def test_a_settled_report_without_a_claim_is_answered_as_before(world: World) -> None:
    world.started(INPUTS)
    granted = world.granted()
    assert world.finish(granted) == AttemptSettled(granted.attempt_id)
