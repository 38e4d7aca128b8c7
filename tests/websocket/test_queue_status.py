"""The queue status over websockets: all of it on connect, then what changes, coalesced, the newest first."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from services.api.queue_status.reading import read_queue_status
from services.api.websocket.snapshots import snapshot_of
from shared.core.states import RunKind
from tests.task_controller.world import MODEL_QUEUE, World
from tests.websocket.serving import PATIENCE, Serving, heard, heard_until, queue_of, serving, until

pytestmark = pytest.mark.integration


def is_over(message: Any) -> bool:
    return not message["content"]


async def test_a_client_gets_the_whole_status_on_connect(world: World, serving_now: Serving) -> None:
    world.started(RunKind.GENERATE_INPUTS)

    async with serving_now.client() as client:
        message = await heard(client)

    assert message.keys() == {"time", "type", "status", "version", "content"}
    assert (message["type"], message["status"]) == ("queue_status.updated", "SUCCESS")
    assert message["content"] == json.loads(snapshot_of(read_queue_status(world.engine)).text)["content"]
    assert queue_of(message, MODEL_QUEUE)["queue"]["queued_count"] == 1


@pytest.mark.parametrize("path", ["/ws/v2/queue-status", "/ws/v2/queue-status/more?x=1", "/api/ws/v2/queue-status/"])
async def test_the_path_is_known_by_its_beginning(serving_now: Serving, path: str) -> None:
    async with serving_now.client(path) as client:
        assert is_over(await heard(client))


async def test_a_client_hears_of_every_change_that_lasts_under_growing_versions(
    world: World, serving_now: Serving
) -> None:
    async with serving_now.client() as client:
        messages = [await heard(client)]
        world.started(RunKind.GENERATE_INPUTS)
        messages += await heard_until(client, lambda each: queue_of(each, MODEL_QUEUE))
        grant = world.granted()
        messages += await heard_until(client, lambda each: queue_of(each, MODEL_QUEUE)["queue"]["running_count"] == 1)
        world.finish(grant)
        world.work_off()
        messages += await heard_until(client, is_over)

    versions = [message["version"] for message in messages]
    assert versions == sorted(set(versions))


async def test_nothing_is_sent_while_nothing_changes_until_it_is_repeated(serving_with: Any) -> None:
    async with serving_with(repeat_every=1.0) as running, running.client() as client:
        first = await heard(client)
        second = await heard(client)
        assert second["content"] == first["content"]
        assert second["version"] > first["version"] + 1
        assert second["time"] > first["time"]


async def test_200_clients_end_with_the_same_status_after_a_few_messages_each(
    world: World, settings: Any, serving_with: Any
) -> None:
    world.started(RunKind.GENERATE_LOSSES, losses=300)
    changes = 2 * 300
    async with serving_with(pace=0.5) as running, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(running.client()) for _ in range(200)]
        hearing = [asyncio.create_task(heard_until(client, is_over)) for client in clients]
        began = time.monotonic()
        await asyncio.to_thread(world.work_off)
        heard_by = await asyncio.gather(*hearing)
        took = time.monotonic() - began

    most = took / 0.5 + 3
    assert most < changes / 4
    assert max(map(len, heard_by)) <= most
    assert len({messages[-1]["version"] for messages in heard_by}) == 1
    for messages in heard_by:
        versions = [message["version"] for message in messages]
        assert versions == sorted(set(versions))


async def test_a_filter_is_answered_once_with_these_analyses_alone(world: World, serving_now: Serving) -> None:
    runs = [world.started(RunKind.GENERATE_INPUTS) for _ in range(2)]
    wanted = world.analysis_of(runs[1])
    async with serving_now.client() as client:
        await heard(client)
        await client.send(json.dumps({"type": "queue_status.filter", "content": {"analyses": [wanted, 99]}}))
        (answer,) = [each for each in await heard_until(client, is_filtered) if is_filtered(each)]
        world.started(RunKind.GENERATE_INPUTS)
        later = await heard(client)

    assert [each["analysis"]["id"] for each in queue_of(answer, MODEL_QUEUE)["analyses"]] == [wanted]
    assert queue_of(answer, MODEL_QUEUE)["queue"]["queued_count"] == 2
    assert (later["type"], len(queue_of(later, MODEL_QUEUE)["analyses"])) == ("queue_status.updated", 3)


def is_filtered(message: Any) -> bool:
    return message["type"] != "queue_status.updated"


@pytest.mark.parametrize(
    ("question", "kind", "detail"),
    [
        ([], None, "Payload should be a dictionary."),
        ({"type": "queue_status.filter"}, "queue_status.filter", 'Payload "content" was not set.'),
        ({"type": "x", "content": {}}, "x", 'type "x" is not valid.'),
        ({"type": ["x"], "content": {}}, None, "type \"['x']\" is not valid."),
        (
            {"type": "queue_status.filter", "content": []},
            "queue_status.filter",
            'queue_status.filter "content" should be a dictionary.',
        ),
        (
            {"type": "queue_status.filter", "content": {"analyses": ["1"]}},
            "queue_status.filter",
            'queue_status.filter "analyses" should be a list of ids.',
        ),
    ],
)
async def test_a_bad_question_is_answered_with_what_is_wrong(
    serving_now: Serving, question: Any, kind: str | None, detail: str
) -> None:
    async with serving_now.client() as client:
        await heard(client)
        await client.send(json.dumps(question))
        answer = await heard(client)
        await client.send(json.dumps({"type": "queue_status.filter", "content": {}}))
        assert (await heard(client))["status"] == "SUCCESS"

    assert answer.pop("time")
    assert answer == {"type": kind, "status": "ERROR", "content": {"detail": detail}}


@pytest.mark.parametrize(
    ("garbage", "code"),
    [("{", 4011), ("", 4011), (b'{"type": 1}', 4011), ("[" * 60_000, 4011), ("1" * 5_000, 4011), ("x" * 70_000, 1009)],
)
async def test_garbage_ends_its_connection_and_no_other(
    world: World, serving_now: Serving, garbage: str | bytes, code: int
) -> None:
    async with serving_now.client() as other, serving_now.client() as client:
        await heard(client)
        await client.send(garbage)
        assert await closed_with(client) == code
        world.started(RunKind.GENERATE_INPUTS)
        assert await heard_until(other, lambda each: queue_of(each, MODEL_QUEUE))


async def closed_with(client: ClientConnection) -> int | None:
    """The code that the server closes with, after whatever it still says."""
    try:
        while True:
            await asyncio.wait_for(client.recv(), PATIENCE)
    except ConnectionClosed as error:
        return error.rcvd.code if error.rcvd else None


async def test_two_servers_side_by_side_tell_the_same(world: World, settings: Any, serving_now: Serving) -> None:
    async with serving(settings, serving_now.token) as second, second.client() as one, serving_now.client() as other:
        before = [await heard(client) for client in (one, other)]
        world.started(RunKind.GENERATE_INPUTS)
        after = [(await heard_until(client, lambda each: queue_of(each, MODEL_QUEUE)))[-1] for client in (one, other)]

    assert after[0]["content"] == after[1]["content"]
    assert max(each["version"] for each in before) < min(each["version"] for each in after)


async def test_nobody_is_looked_for_while_nobody_listens(world: World, serving_now: Serving) -> None:
    async with serving_now.client() as client:
        await heard(client)
    await until(lambda: serving_now.server.hub.listeners == 0, "the server notices")
    assert serving_now.server.hub.newest is None
    world.started(RunKind.GENERATE_INPUTS)
    async with serving_now.client() as client:
        assert queue_of(await heard(client), MODEL_QUEUE)
