"""The output of a run that was resumed is, byte for byte, that of one that never stopped.

Sub-tasks are computed by a function of exactly what their grant refers to, so that a wrong or missing reference shows.
"""

from collections.abc import Callable
from hashlib import sha256
from io import BytesIO

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.worker_monitor.holdings import Hold
from services.worker_monitor.recording import Recorder
from shared.core.chunking import ChunkingOptions
from shared.core.inputs import ChunkingFacts, FileRef, RunInputs
from shared.core.plan import RECORDER_QUEUE, Phase
from shared.core.retries import Cause
from shared.core.states import RunKind
from shared.database.execution import Run, SubTask
from shared.database.requests import RunRequest, current_run, lock_analysis, request_run, resume_run
from shared.database.resources import Analysis
from shared.messages.catalogue import AttemptFinished, Grant, StartRun
from tests.worker_monitor.history import MODEL_QUEUE, WORKER, History

pytestmark = pytest.mark.integration

LEAVES = {
    "write-input-files": ("output_location",),
    "generate-losses-output": ("output_location", "run_logs"),
}


class Calculation:
    """A generate_and_run of five chunks each, computed by a worker that reads what it is given."""

    def __init__(self, history: History, recorder: Recorder) -> None:
        self.history = history
        self.recorder = recorder
        self.computed: list[str] = []

    def request(self) -> None:
        """Request the run, and plan it."""
        options = ChunkingOptions(fixed_lookup_chunks=5, fixed_analysis_chunks=5)
        facts = ChunkingFacts(options, location_rows=10)
        inputs = RunInputs({"settings_file": FileRef(self.history.settings_key, "settings.json")})
        request = RunRequest(RunKind.GENERATE_AND_RUN, "V2", MODEL_QUEUE, inputs, facts, None)
        self._commit(lambda session, analysis: request_run(session, analysis, request))

    def resume(self, phase: Phase) -> None:
        """Resume the run, and plan that."""

        def resumed(session: Session, analysis: Analysis) -> Run:
            ended = current_run(session, analysis)
            assert ended is not None
            return resume_run(session, analysis, ended, phase, None)

        self._commit(resumed)

    def work_until(self, slug: str | None = None) -> Grant | None:
        """Compute what is ready until this sub-task has been granted, or the run is done."""
        while True:
            grant = self.history.claim(MODEL_QUEUE, "w")
            if grant is None:
                to_record = self.history.claim(RECORDER_QUEUE, WORKER)
                if to_record is None:
                    return None
                self.recorder.execute(Hold(to_record))
            elif grant.slug == slug:
                return grant
            else:
                self._compute(grant)

    def output(self) -> bytes:
        """The recorded output of the analysis."""
        analysis = self.history.analysis()
        assert analysis.status == "RUN_COMPLETED"
        return self.history.text(self.history.files()[analysis.output_file_id].key).encode()

    def _compute(self, grant: Grant) -> None:
        self.computed.append(grant.slug)
        text = [grant.slug, *(f"{name} {self._read(ref)}" for name, ref in sorted(grant.files.items()))]
        for number, files in enumerate(grant.chunk_files):
            text += [f"{number} {name} {self._read(ref)}" for name, ref in sorted(files.items())]
        artifacts = {}
        for name in LEAVES.get(grant.step, (grant.step,)):
            key = f"{grant.key_prefix}{name}"
            self.history.store.put(key, BytesIO("\n".join([name, *text]).encode()))
            artifacts[name] = FileRef(key, name)
        self.history.tell(AttemptFinished(grant.attempt_id, "w", artifacts=artifacts))

    def _read(self, reference: FileRef) -> str:
        return sha256(self.history.text(reference.key).encode()).hexdigest()

    def _commit(self, action: Callable[[Session, Analysis], Run]) -> None:
        with Session(self.history.engine) as session:
            analysis = lock_analysis(session, self.history.analysis_id)
            assert analysis is not None
            run_id = action(session, analysis).id
            session.commit()
        self.history.tell(StartRun(run_id))


@pytest.fixture
def calculation(history: History, recorder: Recorder) -> Calculation:
    """Nothing has been requested yet."""
    return Calculation(history, recorder)


@pytest.mark.parametrize(
    ("slug", "phase"),
    [
        ("prepare-keys-file-3", Phase.INPUTS),
        ("write-input-files", Phase.INPUTS),
        ("prepare-losses-generation-directory", Phase.LOSSES),
        ("generate-losses-chunk-3", Phase.LOSSES),
        ("generate-losses-output", Phase.LOSSES),
    ],
)
def test_the_output_is_that_of_an_undisturbed_run_and_nothing_is_computed_twice(
    calculation: Calculation, slug: str, phase: Phase
) -> None:
    calculation.request()
    calculation.work_until()
    undisturbed, every_slug = calculation.output(), calculation.computed
    calculation.computed = []

    calculation.request()
    held = calculation.work_until(slug)
    assert held is not None
    calculation.history.cancel()
    calculation.history.tell(AttemptFinished(held.attempt_id, "w", Cause.CANCELLED))
    calculation.resume(phase)
    calculation.work_until()

    assert calculation.output() == undisturbed
    assert sorted(calculation.computed) == sorted(every_slug)
    copied = select(SubTask.slug).where(SubTask.copied_from_id.is_not(None)).order_by(SubTask.id)
    with calculation.history.engine.connect() as connection:
        assert slug not in connection.scalars(copied).all()
