"""The plan of a run: which sub-tasks there are, in which order, on which queues."""

import pytest

from shared.core.plan import Phase, SlotWeight, Stage, attempt_prefix, log_key, plan_run, plan_undivided, sub_tasks_of
from shared.core.states import RunKind

QUEUE = "OasisLMF-PiWind-1-v2"


def listed(stages: tuple[Stage, ...]) -> list[tuple[str, str, str]]:
    """Name, slug and queue of each sub-task, as clients list them."""
    return [(each.name, each.slug, each.queue) for each in sub_tasks_of(stages)]


def expected_inputs(chunks: int) -> list[tuple[str, str, str]]:
    """Source: oasis_api.md section 2.2."""
    return [
        ("Prepare input generation params", "prepare-input-generation-params", QUEUE),
        ("Pre analysis hook", "pre-analysis-hook", QUEUE),
        *[(f"Prepare keys file {i}", f"prepare-keys-file-{i}", QUEUE) for i in range(chunks)],
        ("Collect keys", "collect-keys", QUEUE),
        ("Write input files", "write-input-files", QUEUE),
        ("Record input files", "record-input-files", "celery-v2"),
        ("Cleanup input generation", "cleanup-input-generation", QUEUE),
    ]


def expected_losses(chunks: int) -> list[tuple[str, str, str]]:
    """Source: oasis_api.md section 2.2."""
    return [
        ("Prepare losses generation params", "prepare-losses-generation-params", QUEUE),
        ("Prepare losses generation directory", "prepare-losses-generation-directory", QUEUE),
        *[(f"Generate losses chunk {i}", f"generate-losses-chunk-{i}", QUEUE) for i in range(chunks)],
        ("Generate losses output", "generate-losses-output", QUEUE),
        ("Record losses files", "record-losses-files", "celery-v2"),
        ("Cleanup losses generation", "cleanup-losses-generation", QUEUE),
    ]


@pytest.mark.parametrize("chunks", [1, 2, 7, 200])
def test_input_generation_has_n_plus_6_sub_tasks_in_order(chunks: int) -> None:
    plan = listed(plan_run(RunKind.GENERATE_INPUTS, QUEUE, chunks, None))
    assert len(plan) == chunks + 6
    assert plan == expected_inputs(chunks)


@pytest.mark.parametrize("chunks", [1, 2, 7, 200])
def test_a_loss_calculation_has_k_plus_5_sub_tasks_in_order(chunks: int) -> None:
    plan = listed(plan_run(RunKind.GENERATE_LOSSES, QUEUE, None, chunks))
    assert len(plan) == chunks + 5
    assert plan == expected_losses(chunks)


@pytest.mark.parametrize(("lookups", "losses"), [(1, 1), (3, 2), (5, 100)])
def test_generate_and_run_has_both_sets_at_once(lookups: int, losses: int) -> None:
    stages = plan_run(RunKind.GENERATE_AND_RUN, QUEUE, lookups, losses)
    assert listed(stages) == expected_inputs(lookups) + expected_losses(losses)
    assert len(listed(stages)) == lookups + losses + 11
    assert [stage.position for stage in stages] == list(range(13))


def test_stages_belong_to_their_phase() -> None:
    stages = plan_run(RunKind.GENERATE_AND_RUN, QUEUE, 1, 1)
    assert [stage.phase for stage in stages] == [Phase.INPUTS] * 7 + [Phase.LOSSES] * 6


def test_only_cleaning_up_may_fail_without_consequence() -> None:
    stages = plan_run(RunKind.GENERATE_AND_RUN, QUEUE, 1, 1)
    optional = [stage.step for stage in stages if stage.optional]
    assert optional == ["cleanup-input-generation", "cleanup-losses-generation"]


@pytest.mark.parametrize(("chunks", "weight"), [(1, SlotWeight.ALL), (2, SlotWeight.ONE)])
def test_a_single_loss_chunk_and_the_output_step_take_the_whole_worker(chunks: int, weight: SlotWeight) -> None:
    stages = plan_run(RunKind.GENERATE_AND_RUN, QUEUE, 1, chunks)
    heavy = {stage.step for stage in stages if stage.weight == SlotWeight.ALL}
    single = {"generate-losses-chunk"} if weight == SlotWeight.ALL else set()
    assert heavy == {"generate-losses-output"} | single


@pytest.mark.parametrize("count", [None, 0, -1])
def test_a_plan_needs_at_least_one_chunk(count: int | None) -> None:
    with pytest.raises(ValueError, match="lookup_chunks must be at least 1"):
        plan_run(RunKind.GENERATE_AND_RUN, QUEUE, count, 1)
    with pytest.raises(ValueError, match="loss_chunks must be at least 1"):
        plan_run(RunKind.GENERATE_LOSSES, QUEUE, None, count)


@pytest.mark.parametrize(
    ("kind", "slugs"),
    [
        (RunKind.GENERATE_INPUTS, ["generate-input", "record-input-files", "cleanup-input-generation"]),
        (RunKind.GENERATE_LOSSES, ["run-analysis", "record-losses-files", "cleanup-losses-generation"]),
    ],
)
def test_a_phase_of_v1_is_one_step_that_takes_the_whole_worker(kind: RunKind, slugs: list[str]) -> None:
    stages = plan_undivided(kind, "OasisLMF-PiWind-1")
    assert [slug for _, slug, _ in listed(stages)] == slugs
    assert [stage.position for stage in stages] == [0, 1, 2]
    assert [stage.queue for stage in stages] == ["OasisLMF-PiWind-1", "celery-v2", "OasisLMF-PiWind-1"]
    assert [stage.weight for stage in stages] == [SlotWeight.ALL, SlotWeight.ONE, SlotWeight.ONE]


def test_v1_has_no_run_for_both_phases() -> None:
    with pytest.raises(ValueError, match="for inputs or for losses"):
        plan_undivided(RunKind.GENERATE_AND_RUN, QUEUE)


def test_keys_lie_under_the_attempt_and_logs_apart_from_them() -> None:
    assert attempt_prefix(Phase.INPUTS, 7, "ab12", "a1") == "analysis-7_files-ab12/attempt-a1/"
    assert attempt_prefix(Phase.LOSSES, 7, "ab12", "a1") == "analysis-7_losses-ab12/attempt-a1/"
    assert log_key("ab12", "a1") == "logs/run-ab12/attempt-a1.log"
