"""What an attempt is given, what it leaves, and how its end is told."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from shared.core.inputs import FileRef
from shared.core.plan import Phase
from shared.core.retries import Cause
from shared.messages.catalogue import AttemptFinished, Grant
from tests.model_worker.bench import Bench
from tests.model_worker.controller import Controller
from tests.model_worker.waiting import wait_for

pytestmark = pytest.mark.usefixtures("shared_worker")


@pytest.fixture
def controller(shared_controller: Controller) -> Controller:
    return shared_controller


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    return shared_bench


def execute(controller: Controller, grant: Grant) -> AttemptFinished:
    controller.offer(grant)
    return controller.report_of(grant)


def shown(bench: Bench, controller: Controller, **options: Any) -> dict[str, Any]:
    """What a step is given."""
    path = bench.flag("shown")
    assert execute(controller, bench.grant({"show": str(path)}, **options)).cause is None
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


class TestCompleted:
    def test_artifacts_are_uploaded_below_the_prefix_under_their_file_names(
        self, bench: Bench, controller: Controller
    ) -> None:
        grant = bench.grant({"leave": {"chunk_work_location": "work-3.tar.gz", "chunk_log_location": "log-3.tar.gz"}})
        report = execute(controller, grant)
        assert (report.cause, report.message, report.exit_status, report.signal) == (None, None, 0, None)
        assert report.artifacts == {
            "chunk_work_location": FileRef(f"{grant.key_prefix}work-3.tar.gz", "work-3.tar.gz"),
            "chunk_log_location": FileRef(f"{grant.key_prefix}log-3.tar.gz", "log-3.tar.gz"),
        }
        assert bench.text_of(f"{grant.key_prefix}log-3.tar.gz") == "log-3.tar.gz of prepare-keys-file"
        assert report.started_at is not None
        assert report.finished_at is not None
        assert report.step_ended_at is not None
        assert report.started_at < report.step_ended_at < report.finished_at
        assert (report.peak_memory or 0) > 1_000_000

    def test_nothing_of_an_attempt_stays_on_the_disk(self, bench: Bench, controller: Controller) -> None:
        execute(controller, bench.grant({"leave": {"params": "params.json"}}))
        # The report goes first, so that nobody waits for the tidying up.
        wait_for(lambda: [path.name for path in bench.place.iterdir()] == ["objects"], "an empty place")

    def test_the_log_is_uploaded_while_the_step_runs(self, bench: Bench, controller: Controller) -> None:
        grant, _, go_on = bench.waiting(orders={"say": ["reading the portfolio"]})
        controller.offer(grant)
        wait_for(lambda: bench.store.exists(grant.log_key), "the log of a running step")
        assert bench.text_of(grant.log_key) == "reading the portfolio\n"
        assert controller.reports_of(grant) == []
        go_on.touch()
        assert controller.report_of(grant).log_key == grant.log_key


class TestGiven:
    def test_only_what_the_step_needs_is_fetched(self, bench: Bench, controller: Controller) -> None:
        nowhere = FileRef("requests/removed-long-ago", "big.csv")
        grant = bench.grant(
            step="collect-keys",
            files={"params": bench.put("{}"), "location_file": nowhere, "settings_file": nowhere},
            data_files=(nowhere,),
        )
        assert execute(controller, grant).cause is None

    def test_files_have_the_names_that_their_owners_gave_them(self, bench: Bench, controller: Controller) -> None:
        facts = shown(
            bench,
            controller,
            files={"location_file": bench.put("loc", "Homes 2024.csv.gz"), "keys_data": bench.put("not needed here")},
            data_files=(bench.put("one", "vuln.csv"), bench.put("two", "vuln.csv")),
            chunk=2,
            chunks=5,
        )
        assert {name: (file["filename"], file["text"]) for name, file in facts["files"].items()} == {
            "location_file": ("Homes 2024.csv.gz", "loc"),
            "settings_file": ("settings.json", facts["files"]["settings_file"]["text"]),
        }
        assert [(file["filename"], file["text"]) for file in facts["data_files"]] == [
            ("vuln.csv", "one"),
            ("vuln.csv", "two"),
        ]
        assert facts["chunk"] == [2, 5]
        assert facts["flags"] == {"debug": False, "keep_local_data": False}

    def test_the_files_of_the_chunks_come_in_their_order(self, bench: Bench, controller: Controller) -> None:
        chunk_files = tuple({"chunk_work_location": bench.put(f"work {n}", f"work-{n}.tar.gz")} for n in range(12))
        facts = shown(bench, controller, step="generate-losses-output", chunk_files=chunk_files)
        assert [files["chunk_work_location"]["text"] for files in facts["chunk_files"]] == [
            f"work {n}" for n in range(12)
        ]

    def test_two_attempts_are_given_links_to_one_copy_of_an_object(self, bench: Bench, controller: Controller) -> None:
        run_location = bench.put("everything", "run_directory.tar.gz")
        options: dict[str, Any] = {"step": "generate-losses-chunk", "files": {"run_location": run_location}}
        first = shown(bench, controller, **options)
        bench.store.delete(run_location.key)
        second = shown(bench, controller, **options)
        inodes = {facts["files"]["run_location"]["inode"] for facts in (first, second)}
        assert len(inodes) == 1
        assert first["files"]["run_location"]["links"] == 2
        assert first["directory"] != second["directory"]

    def test_a_missing_input_is_an_error_of_the_model_that_names_the_key(
        self, bench: Bench, controller: Controller
    ) -> None:
        grant = bench.grant({}, files={"location_file": FileRef("requests/never-uploaded", "loc.csv")})
        report = execute(controller, grant)
        assert report.cause is Cause.MODEL_ERROR
        assert "requests/never-uploaded" in (report.message or "")
        assert report.log_key == grant.log_key
        assert "requests/never-uploaded" in bench.text_of(grant.log_key)


class TestFailed:
    def test_a_step_that_raises_is_an_error_of_the_model_with_its_traceback(
        self, bench: Bench, controller: Controller
    ) -> None:
        grant = bench.grant({"say": ["so far so good"], "fail": "no footprint for event 17"})
        report = execute(controller, grant)
        assert (report.cause, report.exit_status, report.signal) == (Cause.MODEL_ERROR, 1, None)
        assert "Traceback" in (report.message or "")
        assert "ModelBroke: no footprint for event 17" in (report.message or "")
        text = bench.text_of(grant.log_key)
        assert text.startswith("so far so good\n")
        assert text.count("ModelBroke: no footprint for event 17") == 1
        assert report.artifacts == {}

    def test_what_a_failed_step_had_ready_is_uploaded(self, bench: Bench, controller: Controller) -> None:
        grant = bench.grant({"fail_leaving": {"output_location": "analysis_7_inputs.tar.gz"}})
        report = execute(controller, grant)
        assert report.cause is Cause.MODEL_ERROR
        assert "half of it is done" in (report.message or "")
        key = report.artifacts["output_location"].key
        assert bench.text_of(key) == "analysis_7_inputs.tar.gz of prepare-keys-file"

    def test_a_failure_stays_the_news_where_its_partial_files_cannot_be_uploaded(
        self, bench: Bench, controller: Controller
    ) -> None:
        grant, runs, go_on = bench.waiting()
        key = grant.files["settings_file"].key
        orders = json.loads(bench.text_of(key)) | {"fail_leaving": {"output_location": "inputs.tar.gz"}}
        bench.store.put_file(key, written(bench.flag("settings"), json.dumps(orders)))
        controller.offer(grant)
        wait_for(runs.exists, "the step")
        away = bench.store.root.with_name("objects-away")
        bench.store.root.rename(away)
        try:
            go_on.touch()
            report = controller.report_of(grant)
        finally:
            away.rename(bench.store.root)
        assert (report.cause, report.artifacts) == (Cause.MODEL_ERROR, {})
        assert "half of it is done" in (report.message or "")

    def test_a_lookup_that_finds_nothing_is_told_as_such(self, bench: Bench, controller: Controller) -> None:
        assert execute(controller, bench.grant({"no_keys": True})).cause is Cause.NO_KEYS

    def test_a_killed_step_is_reported_with_its_signal_and_its_log_is_kept(
        self, bench: Bench, controller: Controller
    ) -> None:
        grant = bench.grant({"say": ["last words"], "kill": signal.SIGKILL})
        report = execute(controller, grant)
        assert (report.cause, report.exit_status, report.signal) == (Cause.MODEL_ERROR, None, signal.SIGKILL)
        assert "killed by signal 9" in (report.message or "")
        assert bench.text_of(grant.log_key).startswith("last words\n")

    def test_a_step_that_this_worker_does_not_know_is_reported_and_frees_its_slot(
        self, bench: Bench, controller: Controller
    ) -> None:
        for _ in range(3):
            report = execute(controller, bench.grant(step="invent-losses"))
            assert report.cause is Cause.MODEL_ERROR
            assert "invent-losses" in (report.message or "")
        assert controller.next_beat().running == ()

    def test_an_object_store_that_is_away_is_told_as_such(self, bench: Bench, controller: Controller) -> None:
        grant = bench.grant({})
        away = bench.store.root.with_name("objects-away")
        bench.store.root.rename(away)
        try:
            report = execute(controller, grant)
        finally:
            away.rename(bench.store.root)
        assert report.cause is Cause.STORAGE
        assert report.log_key is None

    def test_an_object_store_that_goes_away_before_the_upload_is_told_as_such(
        self, bench: Bench, controller: Controller
    ) -> None:
        grant, runs, go_on = bench.waiting()
        settings = json.loads(bench.text_of(grant.files["settings_file"].key)) | {"leave": {"params": "params.json"}}
        bench.store.put_file(grant.files["settings_file"].key, written(bench.flag("settings"), json.dumps(settings)))
        controller.offer(grant)
        wait_for(runs.exists, "the step")
        away = bench.store.root.with_name("objects-away")
        bench.store.root.rename(away)
        try:
            go_on.touch()
            report = controller.report_of(grant)
        finally:
            away.rename(bench.store.root)
        assert (report.cause, report.artifacts) == (Cause.STORAGE, {})


class TestCleanup:
    def test_the_intermediate_objects_of_the_inputs_go_and_edited_settings_stay(
        self, bench: Bench, controller: Controller
    ) -> None:
        left = bench.grant(
            {"say": ["hello"], "leave": {"params": "params.json", "settings_file": "analysis_settings.json"}},
            run_uuid="r1",
        )
        other = bench.grant({"leave": {"params": "params.json"}}, run_uuid="r2")
        settings = execute(controller, left).artifacts["settings_file"]
        kept = execute(controller, other).artifacts["params"]
        cleanup = bench.grant(step="cleanup-input-generation", run_uuid="r1", files={"settings_file": settings})
        report = execute(controller, cleanup)
        assert (report.cause, report.artifacts) == (None, {})
        assert [info.key for info in bench.store.list("analysis-7_files-r1/")] == [settings.key]
        assert bench.store.exists(kept.key)
        assert bench.store.exists(left.log_key)
        assert bench.text_of(cleanup.log_key) == "removed 1 objects\n"

    def test_the_objects_of_both_phases_go_after_the_losses(self, bench: Bench, controller: Controller) -> None:
        for phase in Phase:
            execute(controller, bench.grant({"leave": {"params": "params.json"}}, phase=phase, run_uuid="r3"))
        cleanup = bench.grant(step="cleanup-losses-generation", phase=Phase.LOSSES, run_uuid="r3")
        assert execute(controller, cleanup).cause is None
        assert bench.text_of(cleanup.log_key) == "removed 2 objects\n"
        assert not any(list(bench.store.list(f"analysis-7_{phase}-r3/")) for phase in Phase)

    def test_cleaning_what_is_clean_is_no_error(self, bench: Bench, controller: Controller) -> None:
        assert execute(controller, bench.grant(step="cleanup-input-generation", run_uuid="none")).cause is None


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
