"""Who sees, uses and changes what: oasis_api.md section 1.1, "Roles and groups"."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.orm import Session

from services.api.routes import VERSIONED, Access
from tests.api.api_client import ANALYSIS_SETTINGS, LOCATIONS, Api
from tests.api.members import member

FORBIDDEN = {"detail": "You do not have permission to perform this action."}


@dataclass
class Teams:
    """Two teams, a user of none, and what the first team has."""

    admin: Api
    ours: Api
    theirs: Api
    nobody: Api
    pks: dict[str, int]


@pytest.fixture
def teams(api: Api, session: Session) -> Teams:
    ours, theirs = member(api, session, "ours", "reds"), member(api, session, "theirs", "blues")
    nobody = member(api, session, "nobody")
    portfolio, model = ours.portfolio(), ours.model()
    pks = {
        "models": model["id"],
        "portfolios": portfolio["id"],
        "data_files": ours.create("data_files/", {"file_description": "rates"})["id"],
        "analyses": ours.analysis(portfolio, model)["id"],
    }
    return Teams(api, ours, theirs, nobody, pks)


def offered() -> dict[tuple[str, str], Access]:
    """Who may use each method of each path below a version."""
    return {
        (f"/{version}/{route.path}", method): route.access
        for route in VERSIONED
        for version in route.versions
        for method in route.handlers
    }


def state(client: Api, pks: dict[str, int]) -> list[Any]:
    """What the owners see."""
    paths = [f"{collection}/{pk}/" for collection, pk in pks.items()]
    paths += [f"models/{pks['models']}/setting_templates/", f"analyses/{pks['analyses']}/runs/"]
    return [client.get(path).json for path in paths]


@pytest.mark.parametrize(("stranger", "below"), [("theirs", ""), ("nobody", "/api")])
def test_on_every_route_what_another_group_has_is_not_found_and_cannot_be_changed(
    teams: Teams, stranger: str, below: str
) -> None:
    # Given a template and a run, and everything that the application answers
    client: Api = getattr(teams, stranger)
    template = teams.ours.post(f"models/{teams.pks['models']}/setting_templates/", {"name": "a"}).json or {}
    generated = teams.ours.post(f"analyses/{teams.pks['analyses']}/generate_inputs/")
    assert generated.status_code == 200
    (run,) = teams.ours.get(f"analyses/{teams.pks['analyses']}/runs/").json or []
    before, access = state(teams.ours, teams.pks), offered()
    rules = [rule.rule for rule in teams.admin.app.url_map.iter_rules() if "<pk>" in rule.rule]

    for rule in rules:
        pk = teams.pks.get(rule.split("/")[2], 1)
        url = rule.replace("<pk>", str(pk)).replace("<run>", str(run["id"])).replace("<template>", str(template["id"]))
        url = re.sub("<[a-z]+>", "1", url)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            answer = client.client.open(f"{below}{url}", method=method, headers=client.headers, json={})
            hidden = 404 if method == "GET" and access.get((rule, method)) is Access.USERS else 403
            allowed = access.get((rule, method)) is not None or "analysis-task-statuses" in rule
            assert answer.status_code == (hidden if allowed else 405), (method, url, answer.text)

    assert len(rules) > 100
    assert state(teams.ours, teams.pks) == before


def test_what_belongs_to_another_group_is_not_found_below_what_is_ones_own(teams: Teams) -> None:
    teams.ours.post(f"analyses/{teams.pks['analyses']}/settings/", ANALYSIS_SETTINGS)
    template = teams.ours.post(f"models/{teams.pks['models']}/setting_templates/", {"name": "a"}).json or {}
    teams.ours.post(f"analyses/{teams.pks['analyses']}/generate_inputs/")
    (run,) = teams.ours.get(f"analyses/{teams.pks['analyses']}/runs/").json or []
    model = teams.theirs.model("Theirs")
    analysis = teams.theirs.analysis(model=model)
    templates = f"models/{model['id']}/setting_templates/"

    for path in (f"{templates}{template['id']}/", f"{templates}{template['id']}/content/"):
        assert teams.theirs.get(path).status_code == teams.theirs.delete(path).status_code == 404
    for path in ("", "sub_task_list/", "files/input_file/", "speedup/"):
        assert teams.theirs.get(f"analyses/{analysis['id']}/runs/{run['id']}/{path}").status_code == 404
    copied = teams.theirs.post(templates, {"name": "b", "analysis_id": teams.pks["analyses"]})
    assert (copied.status_code, copied.json) == (400, {"Detail": [f"analysis_id = {teams.pks['analyses']} not found"]})
    combined = teams.theirs.post("analyses/combine/", {"analysis_ids": [teams.pks["analyses"]], "config": {"a": 1}})
    assert combined.json == {"analysis_ids": f"Not all selected analyses [{teams.pks['analyses']}] found."}
    named = teams.theirs.patch(f"models/{model['id']}/", {"data_files": [teams.pks["data_files"]]})
    assert named.json == {"data_files": [f"You are not allowed to use data file {teams.pks['data_files']}"]}


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("collection", ["models", "portfolios", "data_files", "analyses"])
def test_lists_hold_what_one_may_see(teams: Teams, version: str, collection: str) -> None:
    if collection == "models":
        teams.ours.patch(f"models/{teams.pks['models']}/", {"run_mode": "V1"})
    url = f"/{version}/{collection}/"

    for client in (teams.ours, teams.admin):
        assert [each["id"] for each in client.get(url).json or []] == [teams.pks[collection]]
    for client in (teams.theirs, teams.nobody):
        assert client.get(url).json == []


def test_a_team_does_not_see_what_belongs_to_nobody_but_may_use_it(teams: Teams) -> None:
    common = teams.admin.model("Common")
    free = teams.nobody.portfolio()

    assert teams.ours.get(f"models/{common['id']}/").status_code == 404
    assert teams.nobody.get(f"models/{common['id']}/").status_code == 200
    # What may be changed is still not seen; the reference answers so.
    assert teams.ours.patch(f"models/{common['id']}/", {"run_mode": "V1"}).status_code == 404
    # Analyses of a portfolio without groups are everybody's.
    analysis = teams.ours.analysis(free, common)
    assert teams.theirs.get(f"analyses/{analysis['id']}/").status_code == 200


def test_groups_are_shown_and_those_of_an_analysis_are_its_portfolios(teams: Teams) -> None:
    for collection, pk in teams.pks.items():
        body: Any = teams.ours.get(f"{collection}/{pk}/").json
        assert body["groups"] == ["reds"], collection
        listed: Any = teams.ours.get(f"{collection}/").json
        assert [each["groups"] for each in listed] == [["reds"]]
        if collection != "models":
            assert "groups" not in (teams.ours.get(f"/v1/{collection}/{pk}/").json or {})


def test_files_belong_to_the_groups_of_what_they_are_attached_to(teams: Teams) -> None:
    pks = teams.pks
    portfolio = teams.ours.upload(f"portfolios/{pks['portfolios']}/location_file/", LOCATIONS)
    analysis = teams.ours.post(f"analyses/{pks['analyses']}/settings/", ANALYSIS_SETTINGS)
    content = teams.ours.upload(f"data_files/{pks['data_files']}/content/", b"x", "x.bin", "application/x-any")

    assert [(answer.json or {})["groups"] for answer in (portfolio, analysis, content)] == [["reds"]] * 3


def test_without_a_wish_a_resource_gets_the_groups_of_its_maker(teams: Teams, session: Session) -> None:
    both = member(teams.admin, session, "both", "reds", "blues")

    created = both.create("portfolios/", {"name": "a"})
    url = f"portfolios/{created['id']}/"

    assert created["groups"] == ["blues", "reds"]
    assert (both.patch(url, {"groups": ["reds"]}).json or {})["groups"] == ["reds"]
    assert (both.patch(url, {"name": "b"}).json or {})["groups"] == ["reds"]
    assert (both.put(url, {"name": "c"}).json or {})["groups"] == ["blues", "reds"]
    both.put(f"/v1/{url}", {"name": "d"})
    assert (both.get(url).json or {})["groups"] == ["blues", "reds"]
    assert teams.nobody.create("portfolios/", {"name": "a"})["groups"] == []
    v1 = both.post("/v1/portfolios/", {"name": "a"}).json or {}
    assert (both.get(f"portfolios/{v1['id']}/").json or {})["groups"] == ["blues", "reds"]


@pytest.mark.parametrize(
    ("groups", "errors"),
    [
        ([], ["user is required to specify groups"]),
        (["blues"], ["user is not member of group(s): ['blues']"]),
        (["unheard"], ["Object with name=unheard does not exist."]),
        (["reds", "unheard"], ["Object with name=unheard does not exist."]),
        ([7], ["Invalid value."]),
        ({"a": 1}, ['Expected a list of items but got type "dict".']),
    ],
)
@pytest.mark.parametrize("collection", ["portfolios", "models", "data_files"])
def test_wrong_groups_are_refused_and_change_nothing(
    teams: Teams, groups: object, errors: list[str], collection: str
) -> None:
    url = f"{collection}/{teams.pks[collection]}/"
    body = {"name": "a", "supplier_id": "a", "model_id": "b", "version_id": "c", "file_description": "d"}

    for answer in (
        teams.ours.patch(url, {"groups": groups}),
        teams.ours.post(f"{collection}/", body | {"groups": groups}),
    ):
        assert (answer.status_code, answer.json) == (400, {"groups": errors})
    assert (teams.ours.get(url).json or {})["groups"] == ["reds"]
    assert len(teams.ours.get(f"{collection}/").json or []) == 1


def test_groups_of_others_are_left_out(teams: Teams) -> None:
    created = teams.ours.create("portfolios/", {"name": "a", "groups": ["blues", "reds"]})

    assert created["groups"] == ["reds"]


def test_an_administrator_makes_groups_and_may_put_things_into_any(teams: Teams, session: Session) -> None:
    staff = member(teams.admin, session, "staff", staff=True)

    created = staff.create("portfolios/", {"name": "a", "groups": ["new", "blues"]})

    assert created["groups"] == ["blues", "new"]
    assert teams.theirs.get(f"portfolios/{created['id']}/").status_code == 200
    # Staff may change what they do not see; only superusers see everything.
    assert staff.get(f"portfolios/{created['id']}/").status_code == 404
    assert (staff.patch(f"portfolios/{created['id']}/", {"groups": []}).json or {})["groups"] == []


def test_what_another_group_has_cannot_be_named(teams: Teams) -> None:
    mine = teams.theirs.portfolio()
    model = teams.theirs.model("Theirs")
    refusals: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"portfolio": teams.pks["portfolios"]}, {"portfolio": ["You are not allowed to use this portfolio"]}),
        ({"model": teams.pks["models"]}, {"model": ["You are not allowed to use this model"]}),
        (
            {"complex_model_data_files": [teams.pks["data_files"]]},
            {"data_files": [f"You are not allowed to use data file {teams.pks['data_files']}"]},
        ),
    ]
    analysis = teams.theirs.analysis(mine, model)
    for wish, errors in refusals:
        body = {"name": "a", "portfolio": mine["id"], "model": model["id"]} | wish
        for answer in (
            teams.theirs.post("analyses/", body),
            teams.theirs.patch(f"analyses/{analysis['id']}/", wish),
            teams.theirs.post(f"analyses/{analysis['id']}/copy/", wish),
        ):
            assert (answer.status_code, answer.json) == (400, errors)
    created = teams.theirs.post(
        f"portfolios/{mine['id']}/create_analysis/", {"name": "a", "model": teams.pks["models"]}
    )
    assert (created.status_code, created.json) == (400, refusals[1][1])
    assert len(teams.theirs.get("analyses/").json or []) == 1


def test_a_model_of_another_group_is_not_run_and_its_runs_are_not_cancelled(teams: Teams) -> None:
    analysis = teams.ours.analysis(teams.ours.portfolio(), {"id": teams.pks["models"]})
    teams.admin.patch(f"models/{teams.pks['models']}/", {"groups": ["blues"]})
    url = f"analyses/{analysis['id']}/"

    for action in ("generate_inputs", "run", "generate_and_run", "resume"):
        answer = teams.ours.post(f"{url}{action}/")
        assert (answer.status_code, answer.json) == (403, {"detail": "You are not allowed to run this model"})
    for action in ("cancel", "cancel_generate_inputs", "cancel_analysis_run"):
        answer = teams.ours.post(f"{url}{action}/")
        assert (answer.status_code, answer.json) == (403, {"detail": "You are not allowed to cancel this model"})


def test_a_deleted_model_of_another_group_is_not_revived(teams: Teams) -> None:
    body = {"supplier_id": "OasisLMF", "model_id": "PiWind", "version_id": "1"}
    teams.ours.delete(f"models/{teams.pks['models']}/")

    assert teams.theirs.post("models/", body).json == FORBIDDEN
    assert teams.ours.post("models/", body).status_code == 200
