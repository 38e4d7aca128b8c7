"""models/: oasis_api.md section 1.2."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from shared.database.resources import Model
from tests.api.api_client import MODEL_SETTINGS, Api

KEYS = [
    "id",
    "supplier_id",
    "model_id",
    "version_id",
    "created",
    "modified",
    "data_files",
    "settings",
    "versions",
    "scaling_configuration",
    "chunking_configuration",
    "groups",
    "run_mode",
]
TAKEN = {"non_field_errors": ["The fields supplier_id, model_id, version_id must make a unique set."]}


def test_a_model_has_exactly_these_keys(api: Api) -> None:
    model = api.model()

    assert list(model) == KEYS
    assert (model["groups"], model["data_files"], model["run_mode"]) == ([], [], "V2")
    assert api.get(f"models/{model['id']}/").json == model
    assert api.get("models/").json == [model]


def test_v1_has_fewer_keys_and_no_models_of_v2(api: Api) -> None:
    api.model("two", "V2")
    one, unknown = api.model("one", "V1"), api.model("unknown", None)

    listed = api.get("/v1/models/").json
    assert listed is not None
    assert [each["id"] for each in listed] == [one["id"], unknown["id"]]
    assert set(KEYS) - set(listed[0]) == {"scaling_configuration", "chunking_configuration", "groups"}


def test_a_model_is_changed(api: Api) -> None:
    model = api.model()
    data_file = api.create("data_files/", {"file_description": "rates"})

    patched = api.patch(f"models/{model['id']}/", {"data_files": [data_file["id"]], "run_mode": "V1"}).json
    put = api.put(f"models/{model['id']}/", {"supplier_id": "S", "model_id": "M", "version_id": "V"}).json

    assert patched is not None
    assert (patched["data_files"], patched["run_mode"]) == ([data_file["id"]], "V1")
    assert put is not None
    assert (put["supplier_id"], put["data_files"]) == ("S", [data_file["id"]])
    listed = api.get(f"models/{model['id']}/data_files/").json
    assert listed == [data_file]


def test_wrong_models_are_refused(api: Api) -> None:
    api.model()
    other = api.model("Other")
    names = {"supplier_id": "OasisLMF", "model_id": "PiWind", "version_id": "1"}

    for answer in (api.post("models/", names), api.patch(f"models/{other['id']}/", names)):
        assert (answer.status_code, answer.json) == (400, TAKEN)
    assert api.post("models/", names | {"version_id": "2", "run_mode": "X"}).json == {
        "run_mode": ['"X" is not a valid choice.']
    }
    assert api.post("models/", names | {"version_id": "2", "data_files": [99]}).json == {
        "data_files": ['Invalid pk "99" - object does not exist.']
    }
    assert len(api.get("models/").json or []) == 2


def test_a_deleted_model_is_hidden_and_can_come_back(api: Api, user_api: Api) -> None:
    model = api.model()
    assert api.delete(f"models/{model['id']}/").status_code == 204
    assert api.get(f"models/{model['id']}/").status_code == 404
    assert api.get("models/").json == []

    names = {"supplier_id": "OasisLMF", "model_id": "PiWind", "version_id": "1", "run_mode": "V1"}
    revived = user_api.post("models/", names)

    assert revived.status_code == 200
    assert revived.json is not None
    assert (revived.json["id"], revived.json["run_mode"]) == (model["id"], "V1")
    assert len(api.get("models/?user=USER").json or []) == 1


def test_models_are_filtered_without_regard_to_case(api: Api) -> None:
    model = api.model()
    found = {
        "supplier_id=oasislmf": 1,
        "supplier_id=oasis": 0,
        "supplier_id__contains=LMF": 1,
        "model_id=": 1,
        "model_id__contains=%25": 0,
        "version_id=1&model_id=piwind": 1,
        "user=admin": 1,
        "user=user": 0,
        "unknown=1": 1,
        "created__gte=2020-01-01": 1,
        "created__lt=2020-01-01": 0,
        f"created__date={model['created'][:10]}": 1,
        "modified__gt=01/31/2020": 1,
    }

    for query, count in found.items():
        assert len(api.get(f"models/?{query}").json or []) == count, query
    assert api.get("models/?created__lt=2020-01-01T00:00:00").json == {"created__lt": ["Enter a valid date."]}


def test_settings_are_stored_and_may_name_the_run_mode(api: Api) -> None:
    model = api.model(run_mode=None)
    url = f"models/{model['id']}/"
    assert api.get(f"{url}settings/").status_code == 404
    assert api.get(f"{url}storage_links/").json == {"settings_file": None}

    posted = api.post(f"{url}settings/", MODEL_SETTINGS | {"model_run_mode": "V2"}).json

    assert posted is not None
    assert list(posted) == ["created", "file", "filename", "groups", "conversion_state"]
    assert posted["filename"] == "model_settings.json"
    assert api.get(f"{url}settings/").json == MODEL_SETTINGS | {"model_run_mode": "V2"}
    assert api.get(f"{url}storage_links/").json == {"settings_file": posted["file"]}
    assert (api.get(url).json or {})["run_mode"] == "V2"

    assert api.delete(f"{url}settings/").status_code == 200
    assert api.get(f"{url}settings/").status_code == api.delete(f"{url}settings/").status_code == 404


def test_settings_that_do_not_fit_the_schema_are_refused(api: Api) -> None:
    url = f"models/{api.model()['id']}/settings/"

    missing = api.post(url, {"version": "3", "model_settings": {}})
    wrong = api.post(url, MODEL_SETTINGS | {"lookup_settings": {"supported_perils": "WTC"}})

    assert missing.status_code == wrong.status_code == 400
    assert missing.json == {"model_settings_schema required": ["'lookup_settings' is a required property"]}
    assert wrong.json is not None
    assert list(wrong.json) == ["model_settings_schema lookup_settings-supported_perils"]
    assert api.get(url).status_code == 404


def test_a_model_is_created_with_settings_or_not_at_all(api: Api) -> None:
    names = {"supplier_id": "S", "model_id": "M", "version_id": "V"}
    assert api.post("models/", names | {"settings": {"version": "3"}}).status_code == 400
    assert api.get("models/").json == []

    model = api.create("models/", names | {"settings": MODEL_SETTINGS})
    assert api.get(f"models/{model['id']}/settings/").json == MODEL_SETTINGS


def test_versions_are_told(api: Api, session: Session) -> None:
    model = api.model()
    session.execute(update(Model).values(ver_oasislmf="2.5.8", ver_ods="5.0.9"))
    session.commit()

    v2: Any = api.get(f"models/{model['id']}/versions/").json
    assert v2 == {
        "ver_ktools": None,
        "ver_oasislmf": "2.5.8",
        "ver_platform": None,
        "ver_ods": "5.0.9",
        "ver_oed": None,
    }
    assert list(api.get(f"/v1/models/{model['id']}/versions/").json or {}) == list(v2)[:3]


def test_a_script_registers_a_model_and_brings_it_up_to_date(api: Api) -> None:
    # Given what a cluster's registration does, which any answer but a good one ends
    names = {"supplier_id": "OasisLMF", "model_id": "PiWind", "version_id": "1"}
    chunking = {"strategy": "FIXED_CHUNKS", "lookup_strategy": "DYNAMIC_CHUNKS", "dynamic_locations_per_lookup": 50}
    scaling = {"scaling_strategy": "QUEUE_LOAD", "worker_count_max": 4}

    def register() -> int:
        search = {"supplier_id": names["supplier_id"], "version_id": names["version_id"]}
        found: Any = api.get("models/", query_string=search).json
        pk = int(found[0]["id"]) if found else int(api.create("models/", names | {"run_mode": "V2"})["id"])
        url = f"models/{pk}/"
        for answer in (
            api.patch(url, names | {"run_mode": "V2", "groups": ["underwriters"]}),
            api.post(f"{url}settings/", MODEL_SETTINGS),
            api.post(f"{url}chunking_configuration/", chunking),
            api.post(f"{url}scaling_configuration/", scaling),
        ):
            assert answer.status_code == 200, answer.text
        return pk

    # When it comes twice, as at every upgrade
    pk, again = register(), register()
    # Then there is one model, and all that it was told
    assert pk == again
    assert [each["groups"] for each in api.get("models/").json or []] == [["underwriters"]]
    assert (api.get(f"models/{pk}/scaling_configuration/").json or {}).items() >= scaling.items()
    told: Any = api.get(f"models/{pk}/chunking_configuration/").json
    assert (told["lookup_strategy"], told["dynamic_locations_per_lookup"]) == ("DYNAMIC_CHUNKS", 50)
    assert "strategy" not in told
