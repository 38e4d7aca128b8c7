"""Slots, holdings and needs: bookkeeping without a worker around it."""

import asyncio
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from services.model_worker.cleaning import CLEANUP_STEPS
from services.model_worker.holdings import Holdings
from services.model_worker.needs import NEEDS, READS_ALL, SERVER_NEEDS, WITH_DATA_FILES
from services.model_worker.slots import Slots
from services.model_worker.step_contract import InputFile, ModelPlace, StepContext
from services.model_worker.steps import settings as settings_of_steps
from shared.core.plan import RECORDER_QUEUE, UNDIVIDED_STEPS, SlotWeight, plan_run, plan_undivided
from shared.core.states import SERVER_KINDS, RunKind
from shared.messages.catalogue import AttemptBeat, AttemptFinished

PLANS = (
    plan_run(RunKind.GENERATE_AND_RUN, "model", 2, 2),
    plan_undivided(RunKind.GENERATE_INPUTS, "model"),
    plan_undivided(RunKind.GENERATE_LOSSES, "model"),
)
STEPS_OF_WORKERS = {stage.step for plan in PLANS for stage in plan if stage.queue != RECORDER_QUEUE} - CLEANUP_STEPS


async def settled() -> None:
    """Let every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def begun(slots: Slots, *weights: SlotWeight) -> list[int]:
    """The slots, from the lowest free one on, on which sub-tasks of these weights have begun."""
    taken = [slot for _ in weights if (slot := slots.take_free()) is not None]
    for slot, weight in zip(taken, weights, strict=True):
        slots.begin(slot, weight)
    return taken


class TestSlots:
    async def test_slots_are_given_out_from_the_lowest_on(self) -> None:
        slots = Slots(3)
        begun(slots, SlotWeight.ONE, SlotWeight.ONE)
        async with slots.held(0):
            pass
        await slots.wait_free()
        assert (slots.free, slots.take_free(), slots.free) == (2, 0, 1)

    async def test_whoever_waits_is_woken_when_a_slot_comes_free(self) -> None:
        slots = Slots(1)
        begun(slots, SlotWeight.ONE)
        waiting = asyncio.create_task(slots.wait_free())
        await settled()
        assert not waiting.done()
        async with slots.held(0):
            pass
        await waiting
        assert slots.take_free() == 0

    async def test_one_of_weight_all_waits_for_the_others_and_nothing_is_free_meanwhile(self) -> None:
        slots = Slots(3)
        begun(slots, SlotWeight.ONE, SlotWeight.ALL)
        assert (slots.free, slots.take_free()) == (0, None)
        turn = asyncio.create_task(slots.wait_turn(1))
        await settled()
        assert not turn.done()
        async with slots.held(0):
            pass
        await turn
        assert slots.free == 0
        async with slots.held(1):
            pass
        assert slots.free == 3

    async def test_a_slot_comes_back_before_its_end_when_its_holder_leaves(self) -> None:
        slots = Slots(1)
        begun(slots, SlotWeight.ALL)
        async with slots.held(0) as tenure:
            await tenure.leave()
            assert begun(slots, SlotWeight.ALL) == [0]
            await asyncio.wait_for(slots.wait_turn(0), 1)
        assert slots.free == 0, "the slot is another's by now"

    async def test_no_more_leave_early_than_there_are_slots(self) -> None:
        slots = Slots(1)
        begun(slots, SlotWeight.ONE)
        async with slots.held(0) as tenure:
            await tenure.leave()
            begun(slots, SlotWeight.ONE)
            async with slots.held(0) as next_tenure:
                await next_tenure.leave()
                assert slots.free == 0, "the one before still uploads"
            assert slots.free == 1
        begun(slots, SlotWeight.ONE)
        async with slots.held(0) as tenure:
            await tenure.leave()
            assert slots.free == 1

    async def test_a_slot_comes_back_when_what_held_it_fails(self) -> None:
        slots = Slots(1)
        begun(slots, SlotWeight.ALL)
        with pytest.raises(KeyError):
            async with slots.held(0):
                raise KeyError
        assert slots.free == 1

    async def test_the_end_of_a_small_one_does_not_end_the_claim_of_weight_all(self) -> None:
        slots = Slots(3)
        begun(slots, SlotWeight.ONE, SlotWeight.ONE, SlotWeight.ALL)
        async with slots.held(0):
            pass
        assert slots.free == 0

    async def test_a_slot_goes_on_unless_another_wants_all_of_them(self) -> None:
        slots = Slots(2)
        begun(slots, SlotWeight.ONE)
        assert slots.may_go_on(0)
        begun(slots, SlotWeight.ALL)
        assert (slots.may_go_on(0), slots.may_go_on(1)) == (False, True)

    async def test_what_follows_on_a_slot_may_want_less_or_more_than_what_was_before(self) -> None:
        slots = Slots(2)
        begun(slots, SlotWeight.ALL)
        waiting = asyncio.create_task(slots.wait_free())
        await slots.go_on(0, SlotWeight.ONE)
        await asyncio.wait_for(waiting, 1)
        assert slots.free == 1
        await slots.go_on(0, SlotWeight.ALL)
        assert slots.free == 0

    async def test_what_a_claim_is_still_to_be_granted_counts_as_running(self) -> None:
        slots = Slots(2)
        claimed_for = slots.take_free()
        assert (claimed_for, slots.free) == (0, 1)
        begun(slots, SlotWeight.ALL)
        turn = asyncio.create_task(slots.wait_turn(1))
        await settled()
        assert not turn.done(), "the claim may be granted a sub-task yet"
        slots.begin(0, SlotWeight.ONE)
        await settled()
        assert not turn.done()
        await slots.give_back(0)
        await asyncio.wait_for(turn, 1)

    async def test_several_of_weight_all_have_their_turns_one_after_the_other(self) -> None:
        slots = Slots(3)
        one, other, third = slots.take_free(), slots.take_free(), slots.take_free()
        assert (one, other, third) == (0, 1, 2)
        slots.begin(1, SlotWeight.ALL)
        slots.begin(0, SlotWeight.ALL)
        turns = [asyncio.create_task(slots.wait_turn(slot)) for slot in (0, 1)]
        await settled()
        assert not any(turn.done() for turn in turns), "a claim for the third slot has no answer yet"
        await slots.give_back(2)
        await settled()
        assert [turn.done() for turn in turns] == [False, True], "the one that was granted first"
        assert not slots.may_go_on(1)
        await slots.give_back(1)
        await asyncio.wait_for(turns[0], 1)
        assert slots.free == 0
        await slots.give_back(0)
        assert slots.free == 3


class TestHoldings:
    def test_an_attempt_runs_then_waits_for_its_answer_then_is_forgotten(self) -> None:
        holdings, attempt_id = Holdings(), uuid4()
        holdings.start(attempt_id)
        assert list(holdings.running) == [attempt_id]
        holdings.finish(AttemptFinished(attempt_id, "w"))
        assert (list(holdings.running), list(holdings.finished)) == ([], [attempt_id])
        holdings.forget(attempt_id)
        assert holdings.is_empty

    def test_progress_is_added_up_and_the_total_never_shrinks(self) -> None:
        holdings, attempt_id = Holdings(), uuid4()
        holdings.start(attempt_id)
        for total, more in ((100, 0), (None, 7), (40, 0), (None, 5), (None, -3)):
            holdings.progress(attempt_id, total=total, more=more)
        assert holdings.running[attempt_id] == AttemptBeat(attempt_id, 100, 12)

    def test_progress_of_an_attempt_that_is_over_is_ignored(self) -> None:
        holdings, attempt_id = Holdings(), uuid4()
        holdings.start(attempt_id)
        holdings.finish(AttemptFinished(attempt_id, "w"))
        holdings.progress(attempt_id, more=1)
        assert holdings.running == {}

    def test_forgetting_what_is_not_known_is_no_error(self) -> None:
        Holdings().forget(uuid4())


class TestNeeds:
    def test_every_step_that_runs_on_a_model_queue_has_its_needs(self) -> None:
        assert set(NEEDS) == STEPS_OF_WORKERS

    def test_every_step_of_the_internal_worker_has_its_needs(self) -> None:
        steps = {plan_run(kind, "queue", None, None)[0].step for kind in SERVER_KINDS}
        assert SERVER_NEEDS.keys() | READS_ALL == steps

    def test_only_known_steps_get_data_files(self) -> None:
        assert set(NEEDS) >= WITH_DATA_FILES

    def test_a_step_that_follows_the_parameters_of_its_stage_is_given_them(self) -> None:
        without = {step for step, names in NEEDS.items() if "params" not in names}
        firsts = {"prepare-input-generation-params", "prepare-losses-generation-params"}
        assert without == firsts | set(UNDIVIDED_STEPS)

    @pytest.mark.parametrize(
        "step", sorted(step for step in STEPS_OF_WORKERS if "losses" in step or step == "run-analysis")
    )
    def test_a_loss_step_is_given_the_settings_that_it_places(self, step: str, tmp_path: Path) -> None:
        offered = tmp_path / "settings"
        offered.write_text("{}")
        files = {name: InputFile(offered, "settings.json") for name in NEEDS[step]}
        model = ModelPlace("Ours", "M", "1", tmp_path, tmp_path / "oasislmf.json", None)
        context = StepContext(step, step, 1, "run", tmp_path, model, files=files)
        assert settings_of_steps.place_for_losses(context, tmp_path / "files").read_text() == "{}"


async def test_a_wait_for_a_turn_that_is_given_up_leaves_the_slots_usable() -> None:
    slots = Slots(2)
    begun(slots, SlotWeight.ONE, SlotWeight.ALL)
    turn = asyncio.create_task(slots.wait_turn(1))
    await settled()
    turn.cancel()
    with suppress(asyncio.CancelledError):
        await turn
    async with slots.held(1):
        pass
    await asyncio.wait_for(slots.wait_free(), 1)
    assert slots.take_free() == 1
