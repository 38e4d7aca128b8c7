"""The calls that worker controllers make, against both processes of the API. Source: oasis_api.md section 5."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import URL

from shared.core.states import RunKind
from tests.api.live_server import LiveServer, environment, live_server
from tests.task_controller.world import MODEL_QUEUE, World
from tests.websocket.process import server_process
from tests.websocket.serving import heard, heard_until, queue_of

pytestmark = pytest.mark.integration


@pytest.fixture
def environ(database: URL, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "store").mkdir()
    return environment(database, tmp_path / "store")


@pytest.fixture
def api(environ: dict[str, str], tmp_path: Path, world: World) -> Iterator[LiveServer]:
    with live_server(environ, tmp_path / "api.log") as running:
        yield running


async def test_a_worker_controller_logs_in_finds_its_models_and_scales_from_zero(
    api: LiveServer, world: World, environ: dict[str, str], tmp_path: Path
) -> None:
    # Given the model of the world, which has the options that every model has
    register = {"supplier_id": "OasisLMF", "model_id": "Sea", "version_id": "1", "run_mode": "V2"}
    # When it logs in with a form
    form = {"username": "admin", "password": "password"}
    answer = requests.post(f"{api.url}/api/access_token/", data=form, timeout=25)
    assert answer.status_code == 200
    token = answer.json()["access_token"]
    assert isinstance(answer.json()["expires_in"], float)
    headers = {"Authorization": f"Bearer {token}"}
    model = requests.post(f"{api.url}/api/v2/models/", json=register, headers=headers, timeout=25).json()
    # And searches for the model
    search = {"supplier_id": "OasisLMF", "model_id": "Sea", "version_id": "1"}
    found: Any = requests.get(f"{api.url}/api/v2/models/", params=search, headers=headers, timeout=25)
    assert (found.status_code, [each["id"] for each in found.json()]) == (200, [model["id"]])
    # And reads its scaling configuration
    url = f"{api.url}/api/v2/models/{model['id']}/scaling_configuration/"
    scaling = requests.get(url, headers=headers, timeout=25)
    assert (scaling.status_code, scaling.json()["scaling_strategy"]) == (200, "FIXED_WORKERS")
    # And whoever runs the cluster changes it
    wanted = {"scaling_strategy": "DYNAMIC_TASKS", "worker_count_max": 4, "chunks_per_worker": 2}
    changed = requests.post(url, json=wanted, headers=headers, timeout=25)
    assert changed.status_code == 200
    read = requests.get(url, headers=headers, timeout=25).json()
    assert read == changed.json() == {**scaling.json(), **wanted}
    # And listens, while no worker has ever connected
    async with server_process(environ, tmp_path / "websocket.log") as server, server.client(token) as client:
        assert (await heard(client))["content"] == []
        run_id = world.started(RunKind.GENERATE_INPUTS, priority=7)
        message = (await heard_until(client, lambda each: queue_of(each, MODEL_QUEUE)))[-1]
    # Then it is told that work waits, of which model, and how much of it
    entry = queue_of(message, MODEL_QUEUE)
    assert entry["queue"]["name"].lower().split("-") == ["oasislmf", "test", "1", "v2"]
    assert (entry["queue"]["queued_count"], entry["queue"]["queue_message_count"]) == (1, 1)
    assert entry["queue"]["worker_count"] == 0
    (analysis,) = [each["analysis"] for each in entry["analyses"]]
    assert (analysis["id"], analysis["priority"]) == (world.analysis_of(run_id), 7)
    assert MODEL_QUEUE in analysis["queue_names"]
    assert analysis["sub_task_count"] == analysis["status_count"]["TOTAL_IN_QUEUE"] == 7
