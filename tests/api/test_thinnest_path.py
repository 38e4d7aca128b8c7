"""An analysis is created, run, cancelled and read."""

from tests.api.api_client import Api


def test_an_analysis_is_created_queued_cancelled_and_read(api: Api) -> None:
    analysis = api.analysis()
    assert analysis["status"] == "NEW"

    queued = api.post(f"analyses/{analysis['id']}/generate_inputs/").json
    assert queued
    assert queued["status"] == "INPUTS_GENERATION_QUEUED"
    assert queued["run_mode"] == "V2"

    cancelled = api.post(f"analyses/{analysis['id']}/cancel/").json
    assert cancelled
    assert cancelled["status"] == "INPUTS_GENERATION_CANCELLED"
    assert cancelled["run_mode"] is None

    read = api.get(f"analyses/{analysis['id']}/").json
    assert read == cancelled
