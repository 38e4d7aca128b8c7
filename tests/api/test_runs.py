"""Requesting runs: oasis_api.md section 2.1."""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.codec import from_plain
from shared.core.chunking import ChunkingOptions
from shared.core.inputs import ChunkingFacts, FileRef
from shared.core.states import AnalysisStatus
from shared.database.execution import Outbox, Run
from shared.database.resources import File
from shared.messages.catalogue import StartRun
from shared.messages.envelope import decode
from tests.api.api_client import ACCOUNTS, ANALYSIS_SETTINGS, LOCATIONS, Api
from tests.api.run_requests import GENERATE_STATES, RUN_STATES, UNDER_WAY, inputs_of, refused


def test_a_run_is_written_with_everything_that_its_steps_read(api: Api, session: Session) -> None:
    portfolio = api.portfolio(filename="homes.csv")
    url = f"portfolios/{portfolio['id']}/"
    api.upload(f"{url}accounts_file/", ACCOUNTS, "accounts.csv")
    api.upload(f"{url}currency_conversion_json/", "{}", "rates.json", "application/json")
    api.post(f"{url}reporting_currency/", {"reporting_currency": "GBP"})
    data_file = api.create("data_files/", {"file_description": "a"})
    api.upload(f"data_files/{data_file['id']}/content/", b"x", "extra.bin", "application/x-bin")
    model = api.model()
    api.post(f"models/{model['id']}/chunking_configuration/", {"fixed_lookup_chunks": 2})
    analysis = api.analysis(
        portfolio, model, complex_model_data_files=[data_file["id"]], settings=ANALYSIS_SETTINGS, priority=9
    )

    answer: Any = api.post(f"analyses/{analysis['id']}/generate_inputs/").json

    run = session.scalars(select(Run)).one()
    assert (run.kind, run.run_mode, run.state, run.priority) == ("generate_inputs", "V2", "REQUESTED", 9)
    assert run.model_queue == "OasisLMF-PiWind-1-v2"
    names = {name: ref.filename for name, ref in inputs_of(run).files.items()}
    assert names == {
        "location_file": "homes.csv",
        "accounts_file": "accounts.csv",
        "currency_conversion_json": "rates.json",
        "settings_file": "analysis_settings.json",
    }
    assert [ref.filename for ref in inputs_of(run).data_files] == ["extra.bin"]
    assert inputs_of(run).reporting_currency == "GBP"
    assert from_plain(ChunkingFacts, run.facts) == ChunkingFacts(ChunkingOptions(fixed_lookup_chunks=2), 3, None)
    assert [decode(row.body) for row in session.scalars(select(Outbox))] == [StartRun(run.id)]
    assert answer["status"] == "INPUTS_GENERATION_QUEUED"
    assert answer["task_started"] is not None
    assert answer["task_finished"] is None


def test_the_options_of_the_analysis_override_those_of_the_model(api: Api, session: Session) -> None:
    model = api.model()
    api.post(f"models/{model['id']}/chunking_configuration/", {"fixed_lookup_chunks": 2, "fixed_analysis_chunks": 5})
    analysis = api.analysis(model=model)
    api.post(f"analyses/{analysis['id']}/chunking_configuration/", {"fixed_lookup_chunks": 3})

    api.post(f"analyses/{analysis['id']}/generate_inputs/")

    facts = from_plain(ChunkingFacts, session.scalars(select(Run)).one().facts)
    assert (facts.options.fixed_lookup_chunks, facts.options.fixed_analysis_chunks) == (3, 1)


def test_requesting_inputs_clears_and_releases_the_old_ones(
    api: Api, session: Session, input_file: Callable[..., None]
) -> None:
    analysis = api.analysis()
    input_file(analysis, "RUN_COMPLETED")

    answer: Any = api.post(f"analyses/{analysis['id']}/generate_inputs/").json

    assert answer["input_file"] is None
    assert session.scalars(select(File).where(File.filename == "inputs.tar.gz")).one().released_at is not None


@pytest.mark.parametrize("status", list(AnalysisStatus))
def test_inputs_are_generated_from_every_state_at_rest(
    api: Api, session: Session, put_in: Callable[..., None], status: str
) -> None:
    analysis = api.analysis()
    put_in(analysis, status)

    if status in UNDER_WAY:
        refused(api, session, analysis, "generate_inputs/", {"status": [GENERATE_STATES]})
    else:
        answer: Any = api.post(f"analyses/{analysis['id']}/generate_inputs/").json
        assert answer["status"] == "INPUTS_GENERATION_QUEUED"


@pytest.mark.parametrize("status", list(AnalysisStatus))
def test_losses_are_run_from_four_states(
    api: Api, session: Session, input_file: Callable[..., None], status: str
) -> None:
    analysis = api.analysis(settings=ANALYSIS_SETTINGS)
    input_file(analysis, status)

    if status in ("READY", "RUN_COMPLETED", "RUN_ERROR", "RUN_CANCELLED"):
        answer: Any = api.post(f"analyses/{analysis['id']}/run/").json
        assert (answer["status"], answer["run_mode"]) == ("RUN_QUEUED", "V2")
        run = session.scalars(select(Run)).one()
        assert run.kind == "generate_losses"
        assert inputs_of(run).files["input_file"] == FileRef(f"inputs-{analysis['id']}", "inputs.tar.gz")
    else:
        refused(api, session, analysis, "run/", {"status": [RUN_STATES]})


def test_rows_that_nobody_has_counted_are_counted_when_they_are_needed(api: Api, session: Session) -> None:
    analysis = api.analysis()
    session.execute(update(File).values(rows=None))
    session.commit()

    assert api.post(f"analyses/{analysis['id']}/generate_inputs/").status_code == 200
    assert from_plain(ChunkingFacts, session.scalars(select(Run)).one().facts).location_rows == 3
    assert session.scalars(select(File)).one().rows == 3


def test_both_phases_are_one_run(api: Api, session: Session) -> None:
    analysis = api.analysis(settings=ANALYSIS_SETTINGS)

    answer: Any = api.post(f"analyses/{analysis['id']}/generate_and_run/").json

    assert (answer["status"], answer["run_mode"]) == ("INPUTS_GENERATION_QUEUED", "V2")
    assert session.scalars(select(Run)).one().kind == "generate_and_run"


def test_a_v1_model_runs_with_accounts_alone(api: Api) -> None:
    portfolio = api.portfolio(None)
    api.upload(f"portfolios/{portfolio['id']}/accounts_file/", ACCOUNTS, "a.csv")
    analysis = api.analysis(portfolio, api.model(run_mode="V1"))

    assert api.post(f"analyses/{analysis['id']}/generate_inputs/").status_code == 200


def test_requests_at_the_same_moment_make_one_run(api: Api, session: Session) -> None:
    analysis = api.analysis()
    barrier, statuses = Barrier(6), []

    def request() -> None:
        other = Api(api.app)
        other.headers = api.headers
        barrier.wait()
        statuses.append(other.post(f"analyses/{analysis['id']}/generate_inputs/").status_code)

    threads = [Thread(target=request) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200, 400, 400, 400, 400, 400]
    assert len(session.scalars(select(Run)).all()) == 1
    assert len(session.scalars(select(Outbox)).all()) == 1


def test_a_new_upload_does_not_reach_a_run_under_way(api: Api, session: Session, dependencies: Any) -> None:
    portfolio = api.portfolio()
    analysis = api.analysis(portfolio)
    api.post(f"analyses/{analysis['id']}/generate_inputs/")
    api.upload(f"portfolios/{portfolio['id']}/location_file/", "A\n1\n", "other.csv")

    reference = inputs_of(session.scalars(select(Run)).one()).files["location_file"]
    with dependencies.store.open(reference.key) as stream:
        assert stream.read().decode() == LOCATIONS


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_actions_need_no_body(api: Api, content_type: str | None) -> None:
    url = f"analyses/{api.analysis()['id']}/generate_inputs/"

    assert api.post(url, content_type=content_type).status_code == 200
