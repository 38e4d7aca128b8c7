"""analysis-status/: progress that workers of somebody else tell of."""

from typing import Any

import pytest
from sqlalchemy.orm import Session

from services.api.reported_progress import BadReport, Report, read_report
from tests.api.api_client import ANALYSIS_SETTINGS, Api
from tests.api.executed import Execution

pytestmark = pytest.mark.integration


@pytest.fixture
def running(api: Api, session: Session, dependencies: Any) -> Execution:
    analysis = api.analysis(settings=ANALYSIS_SETTINGS)
    assert api.post(f"analyses/{analysis['id']}/generate_and_run/").status_code == 200
    return Execution(session, dependencies.store, analysis)


def tell(api: Api, pk: object, **told: object) -> int:
    return api.post("/analysis-status/", {"analysis_pk": pk, **told}).status_code


def events(api: Api, running: Execution) -> tuple[int, int]:
    body: Any = api.get(f"analyses/{running.analysis_id}/").json
    return body["num_events_complete"], body["num_events_total"]


def test_reports_add_up_and_a_total_that_is_told_again_takes_nothing_back(api: Api, running: Execution) -> None:
    told = [{"events_total": "100"}, {"events_complete": 30}, {"events_total": "100"}, {"events_complete": "5"}]
    seen = []
    for report in told:
        assert tell(api, str(running.analysis_id), **report) == 200
        seen.append(events(api, running))
    assert seen == [(0, 100), (30, 100), (30, 100), (35, 100)]


def test_no_more_than_all_events_are_ever_complete(api: Api, running: Execution) -> None:
    assert tell(api, running.analysis_id, events_complete=10**18) == 200
    assert events(api, running) == (0, 0)
    assert tell(api, running.analysis_id, events_total=100, events_complete=10**18) == 200
    assert events(api, running) == (100, 100)


def test_what_our_own_workers_tell_is_kept_where_it_is_further(api: Api, running: Execution) -> None:
    running.move("generate-losses-chunk-0", "STARTED", events_total=100, events_complete=40)
    tell(api, running.analysis_id, events_total=100, events_complete=30)
    assert events(api, running) == (40, 100)
    tell(api, running.analysis_id, events_complete=30)
    assert events(api, running) == (60, 100)


def test_an_analysis_that_does_not_run_counts_nothing(api: Api, running: Execution) -> None:
    other = api.analysis(model={"id": api.get("models/").json[0]["id"]})
    for pk in (other["id"], 4711):
        assert api.post("/analysis-status/", {"analysis_pk": pk, "events_total": 7}).json == {"counted": False}
    assert api.get(f"analyses/{other['id']}/").json["num_events_total"] == 0


def test_administrators_only_unless_a_setting_opens_it(
    api: Api, user_api: Api, api_with: Any, running: Execution
) -> None:
    report = {"analysis_pk": running.analysis_id, "events_total": 7}
    assert Api(api.app).post("/analysis-status/", report).status_code == 403
    assert user_api.post("/analysis-status/", report).status_code == 403
    assert events(api, running) == (0, 0)
    opened = api_with(analysis_status_open=True)
    assert opened.post("/api/analysis-status/", report).json == {"counted": True}
    assert opened.post("/analysis-status", report).status_code == 200
    assert opened.get("/analysis-status/").status_code == 405


BAD = [
    {},
    [],
    "5",
    {"analysis_pk": 5},
    {"analysis_pk": "x", "events_total": 1},
    {"analysis_pk": 5, "events_total": -1},
    {"analysis_pk": 5, "events_total": None},
    {"analysis_pk": 5, "events_complete": 1.5},
    {"analysis_pk": True, "events_complete": 1},
    {"analysis_pk": 2**63, "events_complete": 1},
    {"analysis_pk": "9" * 5000, "events_complete": 1},
    {"analysis_pk": "\u0663", "events_complete": 1},
]


@pytest.mark.parametrize("body", BAD)
def test_what_is_no_report_is_a_bad_request(api: Api, body: Any) -> None:
    answer = api.post("/analysis-status/", body)
    assert (answer.status_code, list(answer.json)) == (400, ["detail"])
    with pytest.raises(BadReport):
        read_report(body)


def test_numbers_may_be_texts() -> None:
    assert read_report({"analysis_pk": "5", "events_total": "1447"}) == Report(5, 1447, 0)
    assert read_report({"analysis_pk": 5, "events_complete": 3, "more": "x"}) == Report(5, 0, 3)
