"""What a run of losses knows of its events and locations, by the strategy of its chunks."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.codec import from_plain
from shared.core.chunking import ChunkStrategy
from shared.core.inputs import ChunkingFacts
from shared.database.execution import Run
from tests.api.api_client import ANALYSIS_SETTINGS, MODEL_SETTINGS, Api
from tests.api.run_requests import refused

DYNAMIC_LOSSES = {"loss_strategy": "DYNAMIC_CHUNKS", "dynamic_events_per_analysis": 30}


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

    refused(api, session, analysis, "run/", body)
    refused(api, session, analysis, "generate_and_run/", body)


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
