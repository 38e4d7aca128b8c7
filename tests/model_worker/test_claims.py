"""Tokens, claims and slots: when a worker asks for work, how often, and what it does with the answer."""

import signal
from collections.abc import Iterator

import pytest

from shared.core.plan import SlotWeight
from shared.core.retries import Cause
from shared.messages.catalogue import StopRun
from tests.model_worker.bench import Bench, WorkerProcess
from tests.model_worker.controller import Controller
from tests.model_worker.waiting import wait_for


@pytest.fixture
def claims_before(shared_controller: Controller, shared_worker: WorkerProcess) -> Iterator[int]:
    """How many claims there were before the test, which begins and ends with an idle worker."""
    assert wait_for(lambda: shared_controller.tokens() == (0, 1), "an idle worker")
    yield len(shared_controller.claims)
    wait_for(lambda: shared_controller.tokens() == (0, 1), "an idle worker")


def test_a_token_leads_to_one_claim(shared_controller: Controller, shared_bench: Bench, claims_before: int) -> None:
    grant = shared_bench.grant({})
    shared_controller.offer(grant)
    assert shared_controller.report_of(grant).cause is None
    shared_controller.next_beat()
    (claim,) = shared_controller.claims[claims_before:]
    assert (claim.queue, claim.slot) == (shared_bench.queue, 0)
    assert claim.worker_id == shared_bench.workers[0].worker_id


def test_a_token_dies_when_there_is_nothing(shared_controller: Controller, claims_before: int) -> None:
    shared_controller.send_token()
    wait_for(lambda: len(shared_controller.claims) > claims_before, "a claim")
    wait_for(lambda: shared_controller.tokens() == (0, 1), "an idle worker")
    shared_controller.next_beat()
    assert len(shared_controller.claims) == claims_before + 1


def test_a_claim_without_an_answer_is_repeated_as_it_was(
    shared_controller: Controller, shared_bench: Bench, claims_before: int
) -> None:
    shared_controller.deaf_to = 1
    grant = shared_bench.grant({})
    shared_controller.offer(grant)
    assert shared_controller.report_of(grant).cause is None
    first, again = shared_controller.claims[claims_before:]
    assert first == again


def test_an_answer_that_comes_twice_starts_one_attempt(
    shared_controller: Controller, shared_bench: Bench, claims_before: int
) -> None:
    grant, _, go_on = shared_bench.waiting()
    shared_controller.offer(grant)
    (claim,) = wait_for(lambda: shared_controller.claims[claims_before:], "a claim")
    shared_controller.tell(
        claim.worker_id, wait_for(lambda: shared_controller.answers.get(claim.claim_id), "an answer")
    )
    go_on.touch()
    shared_controller.report_of(grant)
    shared_controller.next_beat()
    assert len(shared_controller.reports_of(grant)) == 1


def test_a_token_is_not_acknowledged_before_the_answer(bench: Bench, controller: Controller) -> None:
    controller.deaf_to = 1000
    worker = bench.start()
    controller.send_token()
    wait_for(lambda: controller.claims, "a claim")
    worker.signal(signal.SIGKILL)
    wait_for(lambda: controller.tokens() == (1, 0), "the token, given back")


def test_as_many_attempts_run_at_once_as_there_are_slots_and_then_no_token_is_taken(
    shared_controller: Controller, shared_bench: Bench, claims_before: int
) -> None:
    waiting = [shared_bench.waiting(slug=f"prepare-keys-file-{n}", chunk=n, chunks=2) for n in range(2)]
    shared_controller.offer(*(grant for grant, _, _ in waiting))
    wait_for(lambda: all(runs.exists() for _, runs, _ in waiting), "two steps at once")
    wait_for(lambda: shared_controller.tokens() == (0, 0), "no consumer while no slot is free")

    shared_controller.send_token()
    beat = shared_controller.next_beat()
    assert (beat.slots, beat.free_slots) == (2, 0)
    assert {held.attempt_id for held in beat.running} == {grant.attempt_id for grant, _, _ in waiting}
    assert shared_controller.tokens() == (1, 0)
    assert [claim.slot for claim in shared_controller.claims[claims_before:]] == [0, 1]

    for _, _, go_on in waiting:
        go_on.touch()
    wait_for(lambda: len(shared_controller.claims) == claims_before + 3, "a claim for the token that waited")


def test_an_attempt_of_weight_all_waits_for_the_others_and_nothing_is_claimed_meanwhile(
    shared_controller: Controller, shared_bench: Bench, claims_before: int
) -> None:
    small, small_runs, small_goes_on = shared_bench.waiting()
    large, large_runs, large_goes_on = shared_bench.waiting(step="generate-losses-output", weight=SlotWeight.ALL)
    shared_controller.offer(small)
    wait_for(small_runs.exists, "the small one")
    shared_controller.offer(large)
    wait_for(lambda: shared_controller.tokens() == (0, 0), "no consumer while one waits for all slots")

    shared_controller.send_token()
    beat = shared_controller.next_beat()
    assert beat.free_slots == 0
    assert len(beat.running) == 2
    assert not large_runs.exists()

    small_goes_on.touch()
    wait_for(large_runs.exists, "the large one, alone")
    assert shared_controller.report_of(small).claim is None
    assert shared_controller.next_beat().free_slots == 0
    assert len(shared_controller.claims) == claims_before + 2
    large_goes_on.touch()
    assert shared_controller.report_of(large).cause is None
    wait_for(lambda: len(shared_controller.claims) == claims_before + 3, "a claim for the token that waited")


def test_an_attempt_that_still_waits_for_its_slots_is_cancelled_at_once(
    shared_controller: Controller, shared_bench: Bench, claims_before: int
) -> None:
    small, small_runs, small_goes_on = shared_bench.waiting()
    large, large_runs, _ = shared_bench.waiting(weight=SlotWeight.ALL, run_uuid="another-run")
    shared_controller.offer(small, large)
    wait_for(small_runs.exists, "the small one")
    wait_for(lambda: len(shared_controller.next_beat().running) == 2, "both are held")
    shared_controller.tell_all(StopRun("another-run"))
    assert shared_controller.report_of(large, within=5).cause is Cause.CANCELLED
    assert not large_runs.exists()
    wait_for(lambda: shared_controller.tokens() == (0, 1), "the other slot is free again")
    small_goes_on.touch()
    assert shared_controller.report_of(small).cause is None
