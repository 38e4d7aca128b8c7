"""Clients that are slow, dead, or never read: they get the newest state or the end, and keep nobody waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.core.states import RunKind
from tests.task_controller.world import MODEL_QUEUE, World
from tests.websocket.serving import Serving, heard, heard_until, queue_of, until
from tests.websocket.slow_client import SlowClient

pytestmark = pytest.mark.integration


async def test_a_slow_client_gets_the_newest_state_and_nothing_of_what_was_between(
    world: World, serving_now: Serving
) -> None:
    async with serving_now.client() as quick, SlowClient(serving_now) as slow:
        first = await slow.hear()
        # Given several changes that a quick client hears of, one by one
        between = [await heard(quick)]
        for count in range(1, 5):
            world.started(RunKind.GENERATE_INPUTS)
            between += await heard_until(
                quick, lambda each, count=count: len((queue_of(each, MODEL_QUEUE) or {}).get("analyses", [])) == count
            )
        # When the slow one, which has heard nothing meanwhile, is ready again
        assert await slow.hears_within(0.3) is None
        slow.answer_pings()
        # Then it hears of the last one at once, and that is all
        newest = await slow.hear()
        slow.answer_pings()
        assert await slow.hears_within(0.3) is None

    assert len(between) >= 5
    assert newest["version"] == between[-1]["version"] > first["version"]
    assert newest["content"] == between[-1]["content"]


async def test_a_client_that_answers_no_ping_is_cut_off_and_the_others_go_on(world: World, serving_with: Any) -> None:
    async with serving_with(patience=0.5) as running, running.client() as other, SlowClient(running) as dead:
        await dead.hear()
        await until(lambda: running.server.hub.listeners == 1, "the dead one is gone")
        await dead.until_cut_off()
        world.started(RunKind.GENERATE_INPUTS)
        assert await heard_until(other, lambda each: queue_of(each, MODEL_QUEUE))


async def test_a_client_that_dies_silently_between_changes_is_noticed(serving_with: Any) -> None:
    async with serving_with(patience=0.5, ping_every=0.2) as running, SlowClient(running) as client:
        # Given one that has answered the ping after its message
        await client.hear()
        for _ in range(3):
            await client.hears_within(0.2)
            client.answer_pings()
        assert running.server.hub.listeners == 1
        # When it answers no more
        await until(lambda: running.server.hub.listeners == 0, "it is noticed")


MANY_LIVE_RUNS = """
WITH made AS (
    INSERT INTO analyses (name, portfolio_id, status) SELECT repeat('x', 250), id, 'RUN_STARTED'
    FROM portfolios, generate_series(1, 8000) RETURNING id
), live AS (
    INSERT INTO runs (run_uuid, analysis_id, kind, state, priority, model_queue)
    SELECT md5(id::text), id, 'generate_losses', 'ACTIVE', 4, 'a-b-1-v2' FROM made RETURNING id
)
INSERT INTO stages (run_id, position, step, phase, queue, parallel, optional, size, pending)
SELECT id, 0, 's', 'losses', 'a-b-1-v2', false, false, 1, 1 FROM live
"""
POINT_TO_THEM = "UPDATE analyses SET current_run_id = runs.id FROM runs WHERE runs.analysis_id = analyses.id"


async def test_a_client_that_never_reads_is_cut_off_though_its_message_fills_every_buffer(
    world: World, serving_with: Any
) -> None:
    # Given a status of some megabytes
    with world.engine.begin() as connection:
        connection.exec_driver_sql(MANY_LIVE_RUNS)
        connection.exec_driver_sql(POINT_TO_THEM)
    async with serving_with(patience=4.0) as running, running.client(max_size=None) as other:
        assert len(str((await heard(other))["content"])) > 4_000_000
        # When one never reads, then it is cut off
        async with SlowClient(running) as deaf:
            await until(lambda: running.server.hub.listeners == 2, "it is let in")
            await until(lambda: running.server.hub.listeners == 1, "the deaf one is gone")
            await deaf.until_cut_off()
        # And the other hears of the next change
        await asyncio.to_thread(world.started, RunKind.GENERATE_INPUTS)
        assert await heard_until(other, lambda each: queue_of(each, MODEL_QUEUE))


async def test_a_flood_of_questions_is_answered_no_faster_than_the_pace(serving_with: Any) -> None:
    async with serving_with(pace=0.2) as running, running.client() as client:
        await heard(client)
        began = asyncio.get_running_loop().time()
        for _ in range(20):
            await client.send('{"type": "queue_status.filter", "content": {}}')
        for _ in range(6):
            await heard(client)
        assert asyncio.get_running_loop().time() - began >= 5 * 0.2
