"""Progress over the websocket, as `oasislmf` tells of it: one frame, no answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from oasislmf.utils.ping import oasis_ping
from sqlalchemy.orm import Session
from websockets.exceptions import InvalidStatus

from services.api.progress import progress_of
from shared.core.states import RunKind
from tests.task_controller.world import World
from tests.websocket.serving import Serving, heard, until
from tests.websocket.test_queue_status import closed_with

pytestmark = pytest.mark.integration
PATH = "/ws/analysis-status/"


@pytest.fixture
def run_id(world: World) -> int:
    return world.started(RunKind.GENERATE_LOSSES)


def events(world: World, run_id: int) -> tuple[int, int]:
    with Session(world.engine) as session:
        progress = progress_of(session, [run_id])[run_id]
    return progress.events_complete, progress.events_total


async def test_an_administrator_tells_and_garbage_among_it_is_no_reason_to_hang_up(
    world: World, run_id: int, serving_now: Serving, token: Callable[..., str]
) -> None:
    pk = str(world.analysis_of(run_id))
    reports: list[Any] = [
        {"analysis_pk": "4711", "events_total": "5"},
        {"analysis_pk": [], "events_total": None},
        [],
        {"analysis_pk": pk, "events_total": "1447"},
        {"analysis_pk": pk, "events_complete": 3},
        {"analysis_pk": pk, "events_complete": 4},
    ]
    async with serving_now.client(PATH, f"Bearer {token('admin')}") as client:
        for report in reports:
            await client.send(json.dumps(report))
        await until(lambda: events(world, run_id) == (7, 1447), "all reports are counted")
        await client.send("no JSON")
        assert await closed_with(client) == 4011


async def test_others_are_refused(serving_now: Serving, token: Callable[..., str]) -> None:
    for header in ("", f"Bearer {token('reader')}", f"Bearer {token('admin', age=2.0)}"):
        with pytest.raises(InvalidStatus) as caught:
            async with serving_now.client(PATH, header):
                raise AssertionError("it was let in")
        assert caught.value.response.status_code == 403


async def test_oasislmf_tells_as_it_is_where_a_setting_opens_it(
    world: World, run_id: int, serving_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_with(analysis_status_open=True) as running:
        monkeypatch.delenv("OASIS_ANALYSIS_STATUS_URL", raising=False)
        monkeypatch.setenv("OASIS_WEBSOCKET_URL", "ws://127.0.0.1")
        monkeypatch.setenv("OASIS_WEBSOCKET_PORT", str(running.port))
        pk = world.analysis_of(run_id)
        for told in ({"events_total": "1447"}, {"events_complete": 5}):
            assert await asyncio.to_thread(oasis_ping, {"analysis_pk": pk, **told})
        await until(lambda: events(world, run_id) == (5, 1447), "it is counted")
        async with running.client() as other:
            assert await heard(other)
