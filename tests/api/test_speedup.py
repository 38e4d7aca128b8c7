"""…/speedup/ over HTTP: what it says of a run that was executed, and why it says nothing of another."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from services.api.dependencies import Dependencies
from shared.core.states import RunKind
from shared.database.execution import Attempt, Run, Worker
from tests.api.api_client import ANALYSIS_SETTINGS, MODEL_SETTINGS, Api
from tests.api.executed import Execution

ZERO = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
LOOKUPS = [f"prepare-keys-file-{chunk}" for chunk in range(4)]
LOSSES = [f"generate-losses-chunk-{chunk}" for chunk in range(4)]
QUEUE = "OasisLMF-PiWind-1-v2"


class Clocked(Execution):
    """A run of four chunks each, whose sub-tasks were executed on two workers of two slots, at times that are told."""

    def __init__(self, session: Session, dependencies: Dependencies, analysis: Any) -> None:
        super().__init__(session, dependencies.store, analysis, chunks=4)
        for name in ("w1", "w2"):
            if session.get(Worker, name) is None:
                worker = Worker(worker_id=name, queue=QUEUE, host="h", slots=2, free_slots=2, draining=False)
                session.add(worker)
        self.run.requested_at = ZERO
        self.run.lookup_chunks = self.run.loss_chunks = 4
        session.commit()
        self.at = 0.0

    def did(self, slug: str, start: float, end: float, state: str = "completed", worker: str = "w1") -> None:
        """An attempt with these times, in seconds; its sub-task is COMPLETED if the attempt is."""
        first, last = ZERO + timedelta(seconds=start), ZERO + timedelta(seconds=end)
        self.attempt(slug, state, granted_at=first, started_at=first, finished_at=last, ended_at=last)
        attempt = self.attempt_of(slug)
        attempt.worker_id = worker
        if state == "completed":
            self.move(slug, "COMPLETED", attempt_id=attempt.attempt_id)
        self.session.commit()

    def attempt_of(self, slug: str) -> Any:
        """The newest attempt of a sub-task."""
        sub_task = self.sub_task(slug)
        query = self.session.query(Attempt).filter_by(sub_task_id=sub_task.id).order_by(Attempt.fence.desc())
        return query.first()

    def serial(self, slug: str) -> None:
        """A serial sub-task of a second, half a second after what was before."""
        self.did(slug, self.at + 0.5, self.at + 1.5)
        self.at += 1.5

    def section(self, slugs: list[str], seconds: float) -> None:
        """A parallel section on four slots, all chunks alike, half a second after what was before."""
        for place, slug in enumerate(slugs):
            self.did(slug, self.at + 0.5, self.at + 0.5 + seconds, worker=f"w{place % 2 + 1}")
        self.at += 0.5 + seconds

    def complete(self) -> "Clocked":
        """All of it: eleven serial sub-tasks, lookups of 5 s, losses of 20 s."""
        for slug in ("prepare-input-generation-params", "pre-analysis-hook"):
            self.serial(slug)
        self.section(LOOKUPS, 5.0)
        for slug in ("collect-keys", "write-input-files", "record-input-files", "cleanup-input-generation"):
            self.serial(slug)
        for slug in ("prepare-losses-generation-params", "prepare-losses-generation-directory"):
            self.serial(slug)
        self.section(LOSSES, 20.0)
        for slug in ("generate-losses-output", "record-losses-files", "cleanup-losses-generation"):
            self.serial(slug)
        self.end("COMPLETED", ended_at=ZERO + timedelta(seconds=self.at))
        return self


@pytest.fixture
def clocked(api: Api, session: Session, dependencies: Dependencies) -> Clocked:
    """A generate_and_run that has its plan."""
    analysis = api.analysis(model=api.model(settings=MODEL_SETTINGS), settings=ANALYSIS_SETTINGS)
    assert api.post(f"analyses/{analysis['id']}/generate_and_run/").status_code == 200
    return Clocked(session, dependencies, analysis)


def test_a_completed_run_says_what_was_serial_and_what_more_workers_would_bring(api: Api, clocked: Clocked) -> None:
    run = clocked.complete().run

    answer: Any = api.get(f"analyses/{clocked.analysis_id}/speedup/").json

    assert (answer["run"], answer["workers"], answer["slots_per_worker"]) == (run.id, 2, 2)
    measured = {name: value for name, value in answer.items() if name.endswith("_seconds")}
    assert measured == {
        "wall_seconds": 11 + 13 * 0.5 + 25,
        "serial_seconds": 11,
        "parallel_seconds": 25,
        "parallel_work_seconds": 100,
        "waiting_seconds": 13 * 0.5,
        "repeating_seconds": 0,
        "lost_seconds": 0,
    }
    assert answer["serial_fraction"] == pytest.approx(11 / 111, abs=1e-4)
    assert answer["critical_path"]["seconds"] == 11 + 25
    assert [each["slug"] for each in answer["critical_path"]["sub_tasks"]][2:4] == [LOOKUPS[0], "collect-keys"]
    overhead = 11 + 13 * 0.5
    walls = {each["workers"]: each["wall_seconds"] for each in answer["predicted"]}
    assert walls == {1: overhead + 50, 2: overhead + 25, **dict.fromkeys((4, 8, 16, 32), overhead + 25)}
    assert walls[2] == answer["wall_seconds"], "with the workers that it had, the prediction is the measurement"
    assert [each["slots"] for each in answer["predicted"]] == [2, 4, 8, 16, 32, 64]
    stages = {each["stage"]: each for each in answer["stages"]}
    assert stages["generate-losses-chunk"] == {
        "stage": "generate-losses-chunk",
        "parallel": True,
        "sub_tasks": 4,
        "waited_seconds": 0.5,
        "seconds": 20,
        "work_seconds": 80,
        "longest_seconds": 20,
        "attempts_lost": 0,
    }


def test_the_best_chunks_grow_with_the_workers(api: Api, clocked: Clocked) -> None:
    clocked.complete()

    answer: Any = api.get(f"analyses/{clocked.analysis_id}/speedup/").json

    best = [each["best"] for each in answer["predicted"]]
    assert [each["lookup_chunks"] for each in best][:1] != [None]
    assert best[0]["analysis_chunks"] < best[-1]["analysis_chunks"]
    walls = [each["wall_seconds"] for each in best]
    assert walls == sorted(walls, reverse=True)
    assert all(one["wall_seconds"] <= each["wall_seconds"] for one, each in zip(best, answer["predicted"], strict=True))
    assert answer["best"]["unknown"] == {}
    assert answer["best"]["assumed"] == ["lookup_chunks", "analysis_chunks"], "all chunks had one size"


def test_what_cannot_be_known_of_other_chunks_is_said(api: Api, clocked: Clocked) -> None:
    clocked.run.facts = clocked.run.facts | {"events": None, "events_unknown": "no event set"}
    clocked.complete()

    answer: Any = api.get(f"analyses/{clocked.analysis_id}/speedup/").json

    assert answer["best"]["wall_seconds"] is None
    assert answer["best"]["analysis_chunks"] is None
    assert answer["best"]["lookup_chunks"] is not None
    assert answer["best"]["unknown"] == {"analysis_chunks": "the number of events is not known (no event set)"}


def test_attempts_that_left_nothing_are_counted_apart(api: Api, clocked: Clocked) -> None:
    clocked.serial("prepare-input-generation-params")
    clocked.did("pre-analysis-hook", 2.0, 5.0, state="lost", worker="w2")
    clocked.at = 5.5
    clocked.serial("pre-analysis-hook")
    clocked.section(LOOKUPS, 5.0)
    clocked.end("COMPLETED", ended_at=ZERO)

    answer: Any = api.get(f"analyses/{clocked.analysis_id}/speedup/").json

    assert (answer["serial_seconds"], answer["lost_seconds"], answer["waiting_seconds"]) == (2, 3, 0.5 + 0.5 + 0.5)
    assert answer["repeating_seconds"] == 3 + 1, "the lost attempt, and the time until the next one"
    parts = ("serial_seconds", "parallel_seconds", "waiting_seconds", "repeating_seconds")
    assert answer["wall_seconds"] == sum(answer[part] for part in parts)
    hook = next(each for each in answer["stages"] if each["stage"] == "pre-analysis-hook")
    assert (hook["attempts_lost"], hook["work_seconds"]) == (1, 1)


def test_an_earlier_run_has_its_own_answer(api: Api, session: Session, clocked: Clocked) -> None:
    clocked.complete()
    clocked.analysis(status="READY")
    assert api.post(f"analyses/{clocked.analysis_id}/generate_inputs/").status_code == 200
    url = f"analyses/{clocked.analysis_id}"
    newest = session.query(Run).order_by(Run.id.desc()).first()
    assert newest is not None
    assert newest.kind == RunKind.GENERATE_INPUTS

    assert (api.get(f"{url}/runs/{clocked.run.id}/speedup/").json or {})["run"] == clocked.run.id
    refused = api.get(f"{url}/speedup/")
    text = f"Run {newest.id} is REQUESTED; only a run that is COMPLETED can be measured. See runs/ for earlier ones"
    assert (refused.status_code, refused.json) == (400, {"run": [text]})


def test_an_analysis_without_a_run_is_404(api: Api, clocked: Clocked) -> None:
    other = api.analysis(model={"id": 1})
    answer = api.get(f"analyses/{other['id']}/speedup/")
    assert (answer.status_code, answer.json) == (404, {"detail": "The analysis has no run yet."})
    assert api.get("analyses/999999/speedup/").status_code == 404
    assert api.get(f"analyses/{other['id']}/runs/{clocked.run.id}/speedup/").status_code == 404
    assert api.get(f"/v1/analyses/{clocked.analysis_id}/speedup/").status_code == 404


def test_a_run_whose_attempts_are_gone_is_refused(api: Api, session: Session, clocked: Clocked) -> None:
    session.execute(update(Run).values(state="COMPLETED"))
    session.commit()
    answer = api.get(f"analyses/{clocked.analysis_id}/speedup/")
    text = f"Run {clocked.run.id} has no attempts whose times are known"
    assert (answer.status_code, answer.json) == (400, {"run": [text]})
