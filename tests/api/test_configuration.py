"""chunking_configuration/ and scaling_configuration/: oasis_api.md section 4."""

import pytest

from tests.api.api_client import Api

CHUNKING = {
    "lookup_strategy": "FIXED_CHUNKS",
    "loss_strategy": "FIXED_CHUNKS",
    "dynamic_locations_per_lookup": 10000,
    "dynamic_events_per_analysis": 1,
    "dynamic_chunks_max": 200,
    "fixed_analysis_chunks": 1,
    "fixed_lookup_chunks": 1,
}
SCALING = {
    "scaling_strategy": "FIXED_WORKERS",
    "worker_count_fixed": 1,
    "worker_count_max": 10,
    "worker_count_min": 0,
    "chunks_per_worker": 10,
}


def test_a_model_has_chunking_options_from_the_start(api: Api) -> None:
    url = f"models/{api.model()['id']}/chunking_configuration/"

    assert api.get(url).json == CHUNKING
    assert api.post(url, {"fixed_lookup_chunks": 4, "strategy": "ignored"}).json == CHUNKING | {
        "fixed_lookup_chunks": 4
    }
    assert api.get(url).json == CHUNKING | {"fixed_lookup_chunks": 4}


def test_an_analysis_has_none_until_some_are_given(api: Api) -> None:
    model = api.model()
    api.post(f"models/{model['id']}/chunking_configuration/", {"fixed_lookup_chunks": 4})
    url = f"analyses/{api.analysis(model=model)['id']}/chunking_configuration/"

    assert api.get(url).json == dict.fromkeys(CHUNKING)
    posted = {"loss_strategy": "DYNAMIC_CHUNKS"}
    assert api.post(url, posted).json == CHUNKING | posted
    assert api.post(url, {"fixed_analysis_chunks": None}).json == CHUNKING | posted | {"fixed_analysis_chunks": None}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"fixed_lookup_chunks": 0}, {"fixed_lookup_chunks": ["Value is less than one."]}),
        ({"fixed_lookup_chunks": "2"}, {"fixed_lookup_chunks": ["Value is not type int, found <class 'str'>"]}),
        ({"dynamic_chunks_max": -1}, {"dynamic_chunks_max": ["Ensure this value is greater than or equal to 0."]}),
        (
            {"fixed_analysis_chunks": 32768},
            {"fixed_analysis_chunks": ["Ensure this value is less than or equal to 32767."]},
        ),
        ({"loss_strategy": "X"}, {"loss_strategy": ['"X" is not a valid choice.']}),
    ],
)
def test_chunking_options_that_make_no_sense_are_refused(api: Api, body: object, errors: object) -> None:
    url = f"models/{api.model()['id']}/chunking_configuration/"
    answer = api.post(url, body)

    assert (answer.status_code, answer.json) == (400, errors)
    assert api.get(url).json == CHUNKING


def test_a_model_has_scaling_options(api: Api) -> None:
    url = f"models/{api.model()['id']}/scaling_configuration/"

    assert api.get(url).json == SCALING
    assert api.post(url, {"worker_count_min": 2}).json == SCALING | {"worker_count_min": 2}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"worker_count_fixed": -1}, {"worker_count_fixed": ["Value is less than zero."]}),
        ({"chunks_per_worker": 1.5}, {"chunks_per_worker": ["Value is not type int, found <class 'float'>"]}),
        ({"worker_count_min": 11}, {"worker_count_min": ["Value '11' must be less than 'worker_count_max: 10'"]}),
        (
            {"worker_count_max": 1, "worker_count_min": 2},
            {
                "worker_count_min": ["Value '2' must be less than 'worker_count_max: 1'"],
                "worker_count_max": ["Value '1' must be greater than 'worker_count_min: 2'"],
            },
        ),
    ],
)
def test_scaling_options_that_make_no_sense_are_refused(api: Api, body: object, errors: object) -> None:
    url = f"models/{api.model()['id']}/scaling_configuration/"
    answer = api.post(url, body)

    assert (answer.status_code, answer.json) == (400, errors)
    assert api.get(url).json == SCALING


def test_a_v1_model_is_not_scaled_by_sub_tasks(api: Api) -> None:
    answer = api.post(
        f"models/{api.model(run_mode='V1')['id']}/scaling_configuration/", {"scaling_strategy": "DYNAMIC_TASKS"}
    )

    assert (answer.status_code, answer.json) == (400, {"scaling_strategy": ["DYNAMIC_TASKS is not allowed in v1."]})


def test_auto_is_a_strategy_for_both_stages(api: Api) -> None:
    model = api.model()
    auto = {"lookup_strategy": "AUTO", "loss_strategy": "AUTO"}

    assert api.post(f"models/{model['id']}/chunking_configuration/", auto).json == CHUNKING | auto
    url = f"analyses/{api.analysis(model=model)['id']}/chunking_configuration/"
    assert api.post(url, {"loss_strategy": "AUTO"}).json == CHUNKING | {"loss_strategy": "AUTO"}
    refused = api.post(url, {"lookup_strategy": "auto"})
    assert (refused.status_code, refused.json) == (400, {"lookup_strategy": ['"auto" is not a valid choice.']})
