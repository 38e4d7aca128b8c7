"""A worker whose attempt has ended claims in the same message for the slot that this leaves, without a token."""

from shared.core.plan import SlotWeight
from shared.core.retries import Cause
from shared.messages.catalogue import ClaimAnswered, DrainWorker
from tests.model_worker.bench import Bench
from tests.model_worker.controller import Controller
from tests.model_worker.waiting import wait_for


def test_what_follows_is_executed_on_the_same_slot_and_its_token_is_removed(
    bench: Bench, controller: Controller
) -> None:
    bench.start(1)
    first, runs, go_on = bench.waiting()
    second = bench.grant({})
    controller.offer(first)
    wait_for(runs.exists, "the first step")
    controller.offer(second)
    wait_for(lambda: controller.tokens() == (1, 0), "a token that waits while no slot is free")
    go_on.touch()
    claim = controller.report_of(first).claim
    assert controller.report_of(second).cause is None
    assert claim is not None
    assert (claim.by_token, claim.slot, claim.queue) == (False, 0, bench.queue)
    assert controller.answers[claim.claim_id].grant == second
    wait_for(lambda: controller.tokens() == (0, 1), "no token left, and a free slot")
    assert len(controller.claims) == 1


def test_where_nothing_follows_the_slot_waits_for_a_token(bench: Bench, controller: Controller) -> None:
    bench.start(1)
    first, second = bench.grant({}), bench.grant({})
    controller.offer(first)
    controller.report_of(first)
    wait_for(lambda: controller.tokens() == (0, 1), "a consumer while the slot is free")
    controller.offer(second)
    assert controller.report_of(second).cause is None
    assert [len(controller.claims), len(controller.next_claims)] == [2, 2]


def test_a_message_that_is_lost_is_repeated_as_its_two_halves(bench: Bench, controller: Controller) -> None:
    bench.start(1)
    first, runs, go_on = bench.waiting()
    second = bench.grant({})
    controller.offer(first)
    wait_for(runs.exists, "the first step")
    controller.hears_reports = False
    controller.offer_untold(second)
    go_on.touch()
    (again,) = wait_for(lambda: controller.next_claims, "the claim, alone")
    assert not again.by_token
    told = wait_for(lambda: [each for beat in controller.beats for each in beat.finished], "the report in a heartbeat")
    assert (told[0].attempt_id, told[0].claim) == (first.attempt_id, None)
    controller.hears_reports = True
    wait_for(lambda: any(not beat.running and not beat.finished for beat in controller.beats[-1:]), "all settled")
    assert controller.answers[again.claim_id].grant == second


def test_one_of_weight_all_that_follows_runs_alone_and_others_are_claimed_again_after_it(
    bench: Bench, controller: Controller
) -> None:
    bench.start(2)
    first, first_runs, first_goes_on = bench.waiting()
    beside, beside_runs, beside_goes_on = bench.waiting()
    large, large_runs, large_goes_on = bench.waiting(step="generate-losses-output", weight=SlotWeight.ALL)
    controller.offer(first, beside)
    wait_for(lambda: first_runs.exists() and beside_runs.exists(), "two steps at once")
    controller.offer_untold(large)
    first_goes_on.touch()
    controller.report_of(first)
    wait_for(lambda: len(controller.next_beat().running) == 2, "the large one is held")
    assert not large_runs.exists()
    beside_goes_on.touch()
    assert controller.report_of(beside).claim is None
    wait_for(large_runs.exists, "the large one, alone")
    controller.send_token()
    controller.next_beat()
    assert controller.tokens() == (1, 0)
    large_goes_on.touch()
    assert controller.report_of(large).cause is None
    wait_for(lambda: controller.tokens() == (0, 1), "the token is taken after all")


def test_what_is_granted_without_a_token_to_a_worker_that_drains_is_handed_back(
    bench: Bench, controller: Controller
) -> None:
    worker = bench.start(1)
    first, first_runs, first_goes_on = bench.waiting()
    controller.offer(first)
    wait_for(first_runs.exists, "the first step")
    controller.deaf_to = 1000
    first_goes_on.touch()
    (claim,) = wait_for(lambda: controller.next_claims[:1], "a claim without a token")
    controller.tell(worker.worker_id, DrainWorker(worker.worker_id))
    grant, runs, _ = bench.waiting()
    controller.tell(worker.worker_id, ClaimAnswered(claim.claim_id, grant))
    assert worker.wait(15) == 0
    reports = {each.attempt_id: each.cause for beat in controller.beats for each in beat.finished}
    assert reports[grant.attempt_id] is Cause.DRAINED
    assert not runs.exists()


def test_a_claim_without_an_answer_keeps_no_other_slot_waiting(bench: Bench, controller: Controller) -> None:
    bench.start(2)
    first, first_runs, first_goes_on = bench.waiting()
    second, second_runs, second_goes_on = bench.waiting()
    controller.offer(first, second)
    wait_for(lambda: first_runs.exists() and second_runs.exists(), "two steps at once")
    controller.deaf_to = 1000
    first_goes_on.touch()
    unanswered = controller.report_of(first).claim
    second_goes_on.touch()
    claim = controller.report_of(second).claim
    assert unanswered is not None
    assert claim is not None
    assert {unanswered.slot, claim.slot} == {0, 1}
    third, third_runs, third_goes_on = bench.waiting()
    controller.answer_late(claim, third, settled=second.attempt_id)
    wait_for(third_runs.exists, "the step that the second claim was granted")
    third_goes_on.touch()
    assert controller.report_of(third).cause is None


def test_two_of_weight_all_that_were_claimed_side_by_side_run_one_after_the_other(
    bench: Bench, controller: Controller
) -> None:
    bench.start(2)
    small = [bench.waiting() for _ in range(2)]
    controller.offer(*(grant for grant, _, _ in small))
    wait_for(lambda: all(runs.exists() for _, runs, _ in small), "two steps at once")
    controller.deaf_to = 1000
    for _, _, goes_on in small:
        goes_on.touch()
    claims = [controller.report_of(grant).claim for grant, _, _ in small]
    large = [bench.waiting(step="generate-losses-output", weight=SlotWeight.ALL) for _ in range(2)]
    for claim, (before, _, _), (grant, _, _) in zip(claims, small, large, strict=True):
        assert claim is not None
        controller.answer_late(claim, grant, settled=before.attempt_id)
    wait_for(lambda: any(runs.exists() for _, runs, _ in large), "one of them runs")
    controller.next_beat()
    assert [runs.exists() for _, runs, _ in large].count(True) == 1, "the other waits"
    for _, _, goes_on in large:
        goes_on.touch()
    assert [controller.report_of(grant).cause for grant, _, _ in large] == [None, None]
