"""models/{id}/setting_templates/: oasis_api.md section 1.2."""

from typing import Any

import pytest

from tests.api.api_client import ANALYSIS_SETTINGS, Api


@pytest.fixture
def url(api: Api) -> str:
    return f"models/{api.model(run_mode='V1')['id']}/setting_templates/"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_template_is_made_read_changed_and_deleted(api: Api, url: str, version: str) -> None:
    url = f"/{version}/{url}"
    created = api.post(url, {"name": "quick", "description": None})
    template: Any = created.json

    assert created.status_code == 200
    assert template == {"id": template["id"], "name": "quick", "description": None, "file_url": None}
    one = f"{url}{template['id']}/"
    assert api.get(one).json == template
    assert api.get(url).json == [template]
    assert (api.patch(one, {"description": "few samples"}).json or {})["description"] == "few samples"
    assert (api.put(one, {"name": "slow"}).json or {})["name"] == "slow"
    assert api.put(one, {}).json == {"name": ["This field is required."]}
    assert api.delete(one).status_code == 204
    assert api.get(one).status_code == 404


def test_the_client_reads_without_a_slash_and_writes_without_one(api: Api, url: str) -> None:
    template: Any = api.post(url, {"name": "a"}).json
    one = f"{url}{template['id']}"

    assert api.get(one).headers["Location"] == f"/v2/{one}/"
    assert api.patch(one, {"name": "b"}).status_code == 200
    assert api.delete(one).status_code == 204


def test_content_is_checked_stored_and_taken_away(api: Api, url: str) -> None:
    template: Any = api.post(url, {"name": "a"}).json
    content = f"{url}{template['id']}/content/"
    assert api.get(content).status_code == api.delete(content).status_code == 404

    posted: Any = api.post(content, ANALYSIS_SETTINGS).json

    assert posted["filename"] == "analysis_settings.json"
    assert (api.get(content).json or {})["model_settings"] == ANALYSIS_SETTINGS["model_settings"]
    assert (api.get(f"{url}{template['id']}/").json or {})["file_url"] == f"http://localhost/v2/{content}"
    refused = api.post(content, {"gul_output": "x"})
    assert refused.status_code == 400
    assert "analysis_settings_schema gul_output" in (refused.json or {})
    assert (api.get(content).json or {})["model_settings"] == ANALYSIS_SETTINGS["model_settings"]
    assert api.delete(content).status_code == 200
    assert api.get(content).status_code == 404


def test_a_template_may_begin_with_the_settings_of_an_analysis(api: Api, url: str) -> None:
    analysis = api.analysis(model=api.model("Other"))
    body = {"name": "a", "analysis_id": analysis["id"]}

    without = api.post(url, body)
    unknown = api.post(url, {"name": "a", "analysis_id": 99})
    api.post(f"analyses/{analysis['id']}/settings/", ANALYSIS_SETTINGS)
    template: Any = api.post(url, body).json
    api.delete(f"analyses/{analysis['id']}/")

    assert without.json == {"Detail": [f"analysis_id = {analysis['id']} has no attached settings file"]}
    assert unknown.json == {"Detail": ["analysis_id = 99 not found"]}
    assert without.status_code == unknown.status_code == 400
    assert (api.get(f"{url}{template['id']}/content/").json or {})["gul_output"] is True
    assert len(api.get(url).json or []) == 1


def test_what_is_not_there_is_404_whatever_is_asked(api: Api, url: str) -> None:
    other = f"models/{api.model('Other')['id']}/setting_templates/"
    template: Any = api.post(url, {"name": "a"}).json

    for path in ("models/99/setting_templates/", "models/abc/setting_templates/"):
        assert api.get(path).status_code == api.post(path, {"name": "a"}).status_code == 404
    assert api.get(f"{other}{template['id']}/").status_code == 404
    assert api.delete(f"{other}{template['id']}/").status_code == 404
    assert api.get(f"{url}{template['id']}/").status_code == 200


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"name": ["This field is required."]}),
        ({"name": "x" * 256}, {"name": ["Ensure this field has no more than 255 characters."]}),
        (
            {"name": "a", "description": "x" * 256},
            {"description": ["Ensure this field has no more than 255 characters."]},
        ),
        ({"name": "a", "analysis_id": "x"}, {"analysis_id": ["A valid integer is required."]}),
    ],
)
def test_wrong_templates_are_refused(api: Api, url: str, body: Any, errors: Any) -> None:
    answer = api.post(url, body)

    assert (answer.status_code, answer.json) == (400, errors)
    assert api.get(url).json == []
