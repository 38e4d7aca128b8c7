"""The step runner in a real child: context in, result.json out."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.model_worker.processes import StepReportError
from services.model_worker.processes.step_codec import StepReport, decode_context, encode_context, read_report
from services.model_worker.step_contract import InputFile, ModelPlace, StepContext


@pytest.fixture
def run(server, make_spec, read_output):
    """Run a step of `process_entries` in a child; gives the exit status, the output and the report."""

    async def go(step: str, *, debug: bool = False) -> tuple[int | None, str, StepReport]:
        spec = make_spec("run_test_step")
        spec.spec_path.write_bytes(encode_context(replace(_context(step, spec.directory), debug=debug)))
        child = await server.start(spec)
        output = b"\n".join(await read_output(child)).decode()
        return (await child.wait()).exit_status, output, read_report(spec.spec_path)

    return go


def _context(step: str, directory: Path) -> StepContext:
    location = directory / "location.csv"
    location.write_bytes(b"PortNumber,AccNumber\n")
    place = ModelPlace("OasisLMF", "PiWind", "1", directory, directory / "oasislmf.json", None)
    files = {"location_file": InputFile(location, "location.csv")}
    return StepContext(step, f"{step}-1", 5, "run", directory, place, chunk=0, chunks=2, files=files)


async def test_a_completed_step_leaves_its_artifacts_and_its_log(run):
    status, output, report = await run("complete")

    assert (status, report.outcome, report.error) == (0, "completed", None)
    assert report.artifacts["lookup"].read_bytes() == b"PortNumber,AccNumber\n"
    assert "INFO model: Working on complete-1." in output


async def test_an_exception_is_reported_with_its_traceback_and_the_files_that_were_ready(run):
    status, output, report = await run("fail")

    assert (status, report.outcome) == (1, "failed")
    assert (report.error.type, report.error.message) == ("ValueError", "no such peril")
    assert "in _fail" in report.error.traceback
    assert "ValueError: no such peril" in output
    assert {name: path.name for name, path in report.artifacts.items()} == {"log": "log-1.tar.gz"}


@pytest.mark.parametrize("debug", [False, True])
async def test_oasislmf_formats_its_arguments_only_where_they_are_logged(run, debug):
    status, output, _ = await run("hand-over-a-table", debug=debug)

    assert status == 0
    assert ("A table is formatted." in output, "_table == a table" in output) == (debug, debug)


@pytest.mark.parametrize(
    ("step", "outcome", "kind"),
    [
        ("find-no-keys", "no_keys", "NoKeysError"),
        ("run-out-of-memory", "out_of_memory", "RuntimeError"),
        ("promise", "failed", "FileNotFoundError"),
        ("exit", "failed", "SystemExit"),
        ("unheard-of", "failed", "KeyError"),
    ],
)
async def test_each_way_to_fail_has_its_outcome(run, step, outcome, kind):
    status, _, report = await run(step)

    assert (status, report.outcome, report.error.type) == (1, outcome, kind)


def test_a_context_survives_the_journey(tmp_path):
    part = InputFile(tmp_path / "lookup-1.tar.gz", "lookup-1.tar.gz")
    context = replace(
        _context("collect-keys", tmp_path), chunk_files=({"lookup": part}, {}), data_files=(part,), debug=True
    )

    assert decode_context(encode_context(context)) == context


def test_a_relative_path_is_refused(tmp_path):
    context = replace(_context("complete", tmp_path), directory=Path("somewhere"))

    with pytest.raises(ValueError, match="absolute"):
        encode_context(context)


@pytest.mark.parametrize("text", [None, "", "{", '{"outcome": "splendid"}', "[]", '{"outcome": "failed", "more": 1}'])
def test_a_report_that_is_missing_or_spoilt_is_an_error_with_its_path(tmp_path, text):
    if text is not None:
        (tmp_path / "result.json").write_text(text)

    with pytest.raises(StepReportError) as error:
        read_report(tmp_path / "spec.json")

    assert error.value.path == tmp_path / "result.json"
