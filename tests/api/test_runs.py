"""Requesting and cancelling runs, and every refusal: oasis_api.md section 2.1."""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shared.codec import from_plain
from shared.core.chunking import ChunkingOptions, ChunkStrategy
from shared.core.inputs import ChunkingFacts, FileRef, RunInputs
from shared.core.states import AnalysisStatus, RunState
from shared.database.execution import Outbox, Run
from shared.database.resources import Analysis, File
from shared.messages.catalogue import CancelRun, StartRun
from shared.messages.envelope import decode
from tests.api.api_client import ACCOUNTS, ANALYSIS_SETTINGS, LOCATIONS, MODEL_SETTINGS, Api

GENERATE_STATES = (
    "Analysis status must be one of [NEW, INPUTS_GENERATION_ERROR, INPUTS_GENERATION_NO_KEYS, "
    "INPUTS_GENERATION_CANCELLED, READY, RUN_COMPLETED, RUN_CANCELLED, RUN_ERROR]"
)
RUN_STATES = "Analysis must be in one of the following states [READY, RUN_COMPLETED, RUN_ERROR, RUN_CANCELLED]"
UNDER_WAY = ("INPUTS_GENERATION_QUEUED", "INPUTS_GENERATION_STARTED", "RUN_QUEUED", "RUN_STARTED")
DYNAMIC_LOSSES = {"loss_strategy": "DYNAMIC_CHUNKS", "dynamic_events_per_analysis": 30}


@pytest.fixture
def put_in(session: Session) -> Callable[..., None]:
    """Put an analysis into a status, as the services after the API would."""

    def put(analysis: Any, status: str, **columns: Any) -> None:
        query = update(Analysis).where(Analysis.id == analysis["id"]).values(status=status, **columns)
        session.execute(query)
        session.commit()

    return put


@pytest.fixture
def input_file(session: Session, put_in: Callable[..., None]) -> Callable[[Any, str], None]:
    """Make an analysis READY (or another status) with an input file."""

    def make(analysis: Any, status: str = "READY") -> None:
        file = File(key=f"inputs-{analysis['id']}", filename="inputs.tar.gz", content_type="application/gzip", size=1)
        session.add(file)
        session.flush()
        put_in(analysis, status, input_file_id=file.id)

    return make


def _refused(api: Api, session: Session, analysis: Any, action: str, body: Any) -> None:
    """The action is refused with this body and leaves everything as it was."""
    before = api.get(f"analyses/{analysis['id']}/").json
    counts = _counts(session)

    answer = api.post(f"analyses/{analysis['id']}/{action}")

    assert (answer.status_code, answer.json) == (400, body), action
    assert api.get(f"analyses/{analysis['id']}/").json == before
    assert _counts(session) == counts


def _counts(session: Session) -> list[int]:
    session.rollback()
    counts = [session.scalar(select(func.count()).select_from(table)) for table in (Run, Outbox, File)]
    return [*(count or 0 for count in counts), session.scalar(select(func.count(File.released_at))) or 0]


def _inputs(run: Run) -> RunInputs:
    return from_plain(RunInputs, run.inputs)


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
    names = {name: ref.filename for name, ref in _inputs(run).files.items()}
    assert names == {
        "location_file": "homes.csv",
        "accounts_file": "accounts.csv",
        "currency_conversion_json": "rates.json",
        "settings_file": "analysis_settings.json",
    }
    assert [ref.filename for ref in _inputs(run).data_files] == ["extra.bin"]
    assert _inputs(run).reporting_currency == "GBP"
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
        _refused(api, session, analysis, "generate_inputs/", {"status": [GENERATE_STATES]})
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
        assert _inputs(run).files["input_file"] == FileRef(f"inputs-{analysis['id']}", "inputs.tar.gz")
    else:
        _refused(api, session, analysis, "run/", {"status": [RUN_STATES]})


def test_an_analysis_without_a_model_runs_nothing(api: Api, session: Session) -> None:
    analysis = api.create("analyses/", {"name": "a", "portfolio": api.portfolio()["id"]})
    body = {"model": "Model not assigned to analysis"}

    for action in (
        "generate_inputs/",
        "run/",
        "generate_and_run/",
        "cancel_generate_inputs/",
        "cancel_analysis_run/",
    ):
        _refused(api, session, analysis, action, body)
    _refused(api, session, analysis, "cancel/", {"status": ["Analysis is not running or queued"]})


def test_a_v1_model_that_is_scaled_by_sub_tasks_runs_nothing(api: Api, session: Session) -> None:
    model = api.model()
    api.post(f"models/{model['id']}/scaling_configuration/", {"scaling_strategy": "DYNAMIC_TASKS"})
    api.patch(f"models/{model['id']}/", {"run_mode": "V1"})
    analysis = api.analysis(model=model)

    for action in ("generate_inputs/", "run/", "generate_and_run/"):
        _refused(api, session, analysis, action, ["Model has invalid scaling setting"])


def test_inputs_are_refused_with_all_reasons_at_once(api: Api, session: Session, put_in: Callable[..., None]) -> None:
    portfolio, model = api.portfolio(), api.model()
    analysis = api.analysis(portfolio, model)
    put_in(analysis, "RUN_STARTED")
    api.delete(f"models/{model['id']}/")
    api.delete(f"portfolios/{portfolio['id']}/location_file/")
    deleted = f'Model pk "{model["id"]}" has been deleted'

    _refused(
        api,
        session,
        analysis,
        "generate_inputs/",
        {
            "status": [GENERATE_STATES],
            "model": [deleted],
            "portfolio": ['"location_file" must not be null for run_mode = V2'],
        },
    )
    _refused(
        api,
        session,
        analysis,
        "generate_inputs/?run_mode_override=V1",
        {
            "status": [GENERATE_STATES],
            "model": [deleted],
            "portfolio": ['Either "location_file" or "accounts_file" must not be null for run_mode = V1'],
        },
    )
    _refused(
        api,
        session,
        analysis,
        "generate_and_run/",
        {
            "status": [GENERATE_STATES],
            "model": [deleted],
            "settings_file": ["Must not be null"],
            "portfolio": ['"location_file" must not be null'],
        },
    )


@pytest.mark.parametrize("override", ["V3", "v2"])
def test_a_run_mode_that_does_not_exist_comes_first(
    api: Api, session: Session, put_in: Callable[..., None], override: str
) -> None:
    analysis = api.analysis()
    put_in(analysis, "RUN_STARTED")
    body = {"run_mode": ["run_mode must be  [V1, V2]"]}

    _refused(api, session, analysis, f"generate_inputs/?run_mode_override={override}", body)


def test_a_model_without_a_run_mode_needs_an_override(
    api: Api, session: Session, input_file: Callable[..., None]
) -> None:
    model = api.model()
    analysis = api.analysis(model=model, settings=ANALYSIS_SETTINGS)
    input_file(analysis)
    api.patch(f"models/{model['id']}/", {"run_mode": None})

    _refused(api, session, analysis, "generate_inputs/", {"run_mode": ["run_mode must be  [V1, V2]"]})
    _refused(api, session, analysis, "run/", {"model": [f'Model pk "{model["id"]}" - "run_mode" must not be null']})
    assert api.post(f"analyses/{analysis['id']}/run/?run_mode_override=V1").status_code == 200
    assert session.scalars(select(Run)).one().model_queue == "OasisLMF-PiWind-1"


def test_a_location_file_without_rows_is_refused(api: Api, session: Session) -> None:
    analysis = api.analysis(api.portfolio("PortNumber,AccNumber,LocNumber\n"), settings=ANALYSIS_SETTINGS)
    body = {"portfolio": ['"location_file" must at least one row']}

    _refused(api, session, analysis, "generate_inputs/", body)
    _refused(api, session, analysis, "generate_and_run/", body)


# It begins as text; what does not is refused when it is uploaded.
@pytest.mark.parametrize("end", [bytes(range(256)), b"\x1f\x8b"])
def test_a_location_file_that_is_rubbish_is_refused_with_the_reason(api: Api, session: Session, end: bytes) -> None:
    analysis = api.analysis(api.portfolio(b"A,B\n" * 20_000 + end))

    for action in ("generate_inputs/", "generate_and_run/"):
        answer: Any = api.post(f"analyses/{analysis['id']}/{action}").json
        assert answer["portfolio"][0].startswith("Failed to read location file size for chunking: ")
    assert (api.get(f"analyses/{analysis['id']}/").json or {})["status"] == "NEW"
    assert session.scalars(select(Run)).all() == []


def test_rows_that_nobody_has_counted_are_counted_when_they_are_needed(api: Api, session: Session) -> None:
    analysis = api.analysis()
    session.execute(update(File).values(rows=None))
    session.commit()

    assert api.post(f"analyses/{analysis['id']}/generate_inputs/").status_code == 200
    assert from_plain(ChunkingFacts, session.scalars(select(Run)).one().facts).location_rows == 3
    assert session.scalars(select(File)).one().rows == 3


def test_both_phases_need_a_v2_model(api: Api, session: Session) -> None:
    model = api.model(run_mode="V1")
    analysis = api.analysis(model=model, settings=ANALYSIS_SETTINGS)
    text = f'Model pk "{model["id"]}" - Unsupported Operation, "run_mode" must be "V2", not "V1"'

    _refused(api, session, analysis, "generate_and_run/", {"model": [text]})


def test_both_phases_are_one_run(api: Api, session: Session) -> None:
    analysis = api.analysis(settings=ANALYSIS_SETTINGS)

    answer: Any = api.post(f"analyses/{analysis['id']}/generate_and_run/").json

    assert (answer["status"], answer["run_mode"]) == ("INPUTS_GENERATION_QUEUED", "V2")
    assert session.scalars(select(Run)).one().kind == "generate_and_run"


def test_losses_without_their_files_are_refused(api: Api, session: Session, put_in: Callable[..., None]) -> None:
    analysis = api.analysis()
    put_in(analysis, "READY")

    _refused(
        api,
        session,
        analysis,
        "run/",
        {"analysis_settings_file": ["Must not be null"], "input_file": ["Must not be null"]},
    )


def _with_event_set(**changes: Any) -> dict[str, Any]:
    return ANALYSIS_SETTINGS | {"model_settings": ANALYSIS_SETTINGS["model_settings"] | changes}


@pytest.mark.parametrize(
    ("model_settings", "analysis_settings", "body"),
    [
        (None, ANALYSIS_SETTINGS, {"model_settings_file": ["Must not be null for Dynamic chunking"]}),
        (
            MODEL_SETTINGS,
            ANALYSIS_SETTINGS | {"model_settings": {}},
            {"analysis_settings_file": ["event_set, Must not be null for Dynamic chunking"]},
        ),
        (
            MODEL_SETTINGS | {"model_settings": {}},
            ANALYSIS_SETTINGS,
            {"model_settings_file": ["event_set, No options given in Model settings"]},
        ),
        (
            MODEL_SETTINGS,
            _with_event_set(event_set="q"),
            {"settings_files": ["selected event_set 'q' from analysis_settings not found in model_settings"]},
        ),
        (
            MODEL_SETTINGS,
            _with_event_set(event_set="x"),
            {"model_settings_file": ["Option 'number_of_events' is not set for event_set = 'x'"]},
        ),
    ],
)
def test_dynamic_losses_need_to_know_their_events(
    api: Api,
    session: Session,
    input_file: Callable[..., None],
    model_settings: Any,
    analysis_settings: Any,
    body: Any,
) -> None:
    model = api.model(**({"settings": model_settings} if model_settings else {}))
    api.post(f"models/{model['id']}/chunking_configuration/", DYNAMIC_LOSSES)
    analysis = api.analysis(model=model, settings=analysis_settings)
    input_file(analysis)

    _refused(api, session, analysis, "run/", body)
    _refused(api, session, analysis, "generate_and_run/", body)


@pytest.mark.parametrize(("event_ids", "events"), [([4], 100), ([4, 5, 6], 3)])
def test_dynamic_losses_are_split_by_their_events(
    api: Api, session: Session, input_file: Callable[..., None], event_ids: list[int], events: int
) -> None:
    model = api.model(settings=MODEL_SETTINGS)
    api.post(f"models/{model['id']}/chunking_configuration/", DYNAMIC_LOSSES)
    analysis = api.analysis(model=model, settings=ANALYSIS_SETTINGS | {"event_ids": event_ids})
    input_file(analysis)

    assert api.post(f"analyses/{analysis['id']}/run/").status_code == 200

    facts = from_plain(ChunkingFacts, session.scalars(select(Run)).one().facts)
    assert (facts.options.loss_strategy, facts.events) == (ChunkStrategy.DYNAMIC, events)


@pytest.mark.parametrize("strategy", ["AUTO", "FIXED_CHUNKS"])
def test_losses_of_other_strategies_know_their_events_and_locations_where_that_is_possible(
    api: Api, session: Session, input_file: Callable[..., None], strategy: str
) -> None:
    model = api.model(settings=MODEL_SETTINGS)
    api.post(f"models/{model['id']}/chunking_configuration/", {"loss_strategy": strategy})
    analysis = api.analysis(model=model, settings=ANALYSIS_SETTINGS)
    input_file(analysis)

    assert api.post(f"analyses/{analysis['id']}/run/").status_code == 200

    facts = from_plain(ChunkingFacts, session.scalars(select(Run)).one().facts)
    assert facts.options.loss_strategy == strategy
    assert (facts.events, facts.location_rows, facts.events_unknown) == (100, 3, None)


@pytest.mark.parametrize(
    ("model_settings", "analysis_settings", "why"),
    [
        (None, b"{}", "Must not be null for Dynamic chunking"),
        (MODEL_SETTINGS, b"{}", "event_set, Must not be null for Dynamic chunking"),
        (MODEL_SETTINGS, b'{"event_ids": 7, "model_settings": [1]}', "event_set, Must not be null"),
    ],
)
def test_losses_of_auto_run_without_a_number_of_events_and_say_why(
    api: Api, session: Session, input_file: Callable[..., None], model_settings: Any, analysis_settings: bytes, why: str
) -> None:
    model = api.model(**({"settings": model_settings} if model_settings else {}))
    api.post(f"models/{model['id']}/chunking_configuration/", {"loss_strategy": "AUTO", "lookup_strategy": "AUTO"})
    analysis = api.analysis(model=model)
    api.upload(f"analyses/{analysis['id']}/settings_file/", analysis_settings, "a.json", "application/json")
    input_file(analysis)

    assert api.post(f"analyses/{analysis['id']}/generate_and_run/").status_code == 200

    facts = from_plain(ChunkingFacts, session.scalars(select(Run)).one().facts)
    assert facts.events is None
    assert why in (facts.events_unknown or "")


def test_settings_that_are_no_json_are_refused(api: Api, session: Session, input_file: Callable[..., None]) -> None:
    model = api.model(settings=MODEL_SETTINGS)
    api.post(f"models/{model['id']}/chunking_configuration/", DYNAMIC_LOSSES)
    analysis = api.analysis(model=model)
    api.upload(f"analyses/{analysis['id']}/settings_file/", b"{", "a.json", "application/json")
    input_file(analysis)

    answer: Any = api.post(f"analyses/{analysis['id']}/run/")
    assert answer.status_code == 400
    assert list(answer.json) == ["analysis_settings_file"]


@pytest.mark.parametrize(
    ("action", "status", "cancelled", "refusal"),
    [
        ("cancel", "INPUTS_GENERATION_STARTED", "INPUTS_GENERATION_CANCELLED", "Analysis is not running or queued"),
        ("cancel", "RUN_STARTED", "RUN_CANCELLED", "Analysis is not running or queued"),
        (
            "cancel_generate_inputs",
            "INPUTS_GENERATION_STARTED",
            "INPUTS_GENERATION_CANCELLED",
            "Analysis input generation is not running or queued",
        ),
        (
            "cancel_analysis_run",
            "RUN_STARTED",
            "RUN_CANCELLED",
            "Analysis execution is not running or queued",
        ),
    ],
)
def test_cancelling_is_a_row_and_can_be_done_once(
    api: Api,
    session: Session,
    put_in: Callable[..., None],
    action: str,
    status: str,
    cancelled: str,
    refusal: str,
) -> None:
    analysis = api.analysis()
    _refused(api, session, analysis, f"{action}/", {"status": [refusal]})
    api.post(f"analyses/{analysis['id']}/generate_inputs/")
    put_in(analysis, status)

    answer: Any = api.post(f"analyses/{analysis['id']}/{action}/").json

    assert (answer["status"], answer["run_mode"]) == (cancelled, None)
    assert answer["task_finished"] is not None
    run = session.scalars(select(Run)).one()
    assert run.state == RunState.CANCELLING
    assert decode(session.scalars(select(Outbox).order_by(Outbox.id.desc()).limit(1)).one().body) == CancelRun(run.id)
    _refused(api, session, analysis, f"{action}/", {"status": [refusal]})


def test_each_phase_has_its_own_cancel(api: Api, session: Session, put_in: Callable[..., None]) -> None:
    analysis = api.analysis()
    api.post(f"analyses/{analysis['id']}/generate_inputs/")

    _refused(
        api,
        session,
        analysis,
        "cancel_analysis_run/",
        {"status": ["Analysis execution is not running or queued"]},
    )
    put_in(analysis, "RUN_STARTED")
    _refused(
        api,
        session,
        analysis,
        "cancel_generate_inputs/",
        {"status": ["Analysis input generation is not running or queued"]},
    )


def test_a_cancelled_analysis_runs_again_at_once(api: Api, session: Session) -> None:
    url = f"analyses/{api.analysis()['id']}/"
    api.post(f"{url}generate_inputs/")
    api.post(f"{url}cancel/")

    assert api.post(f"{url}generate_inputs/").status_code == 200
    assert [run.state for run in session.scalars(select(Run).order_by(Run.id))] == ["CANCELLING", "REQUESTED"]


def test_nothing_else_starts_in_the_ready_of_a_run_that_goes_on(
    api: Api, session: Session, input_file: Callable[..., None]
) -> None:
    analysis = api.analysis(settings=ANALYSIS_SETTINGS)
    api.post(f"analyses/{analysis['id']}/generate_and_run/")
    input_file(analysis, "READY")

    _refused(api, session, analysis, "run/", {"status": [RUN_STATES]})
    _refused(api, session, analysis, "generate_inputs/", {"status": [GENERATE_STATES]})
    _refused(api, session, analysis, "generate_and_run/", {"status": [GENERATE_STATES]})
    _refused(
        api,
        session,
        analysis,
        "cancel_generate_inputs/",
        {"status": ["Analysis input generation is not running or queued"]},
    )
    answer: Any = api.post(f"analyses/{analysis['id']}/cancel_analysis_run/").json
    assert answer["status"] == "RUN_CANCELLED"


def test_a_plain_ready_is_not_cancelled(api: Api, session: Session, input_file: Callable[..., None]) -> None:
    analysis = api.analysis()
    api.post(f"analyses/{analysis['id']}/generate_inputs/")
    input_file(analysis, "READY")

    _refused(api, session, analysis, "cancel/", {"status": ["Analysis is not running or queued"]})


def test_v1_runs_v1_models_only(api: Api, session: Session) -> None:
    model = api.model()
    analysis = api.analysis(model=model)
    text = f"Model pk {model['id']}' - Unsupported Operation, 'run_mode' must be 'V1', not 'V2'"

    for action in ("generate_inputs", "run"):
        answer = api.post(f"/v1/analyses/{analysis['id']}/{action}/")
        assert (answer.status_code, answer.json) == (400, {"model": [text]})
    assert api.post(f"/v1/analyses/{analysis['id']}/generate_and_run/").status_code == 404

    one = api.analysis(model=api.model("One", "V1"))
    answer = api.post(f"/v1/analyses/{one['id']}/generate_inputs/")
    assert answer.status_code == 200
    run = session.scalars(select(Run)).one()
    assert (run.run_mode, run.model_queue) == ("V1", "OasisLMF-One-1")
    assert api.post(f"/v1/analyses/{one['id']}/cancel/").status_code == 200


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

    reference = _inputs(session.scalars(select(Run)).one()).files["location_file"]
    with dependencies.store.open(reference.key) as stream:
        assert stream.read().decode() == LOCATIONS


@pytest.mark.parametrize("action", ["generate_inputs", "run", "generate_and_run", "cancel", "copy"])
def test_an_unknown_analysis_is_404(api: Api, action: str) -> None:
    assert api.post(f"analyses/99/{action}/").status_code == 404


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_actions_need_no_body(api: Api, content_type: str | None) -> None:
    url = f"analyses/{api.analysis()['id']}/generate_inputs/"

    assert api.post(url, content_type=content_type).status_code == 200
