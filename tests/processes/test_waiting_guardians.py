"""A guardian serves one attempt after the other: what it keeps between two, and what happens to one that waits."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from services.model_worker.processes import Child, ChildSpec, ForkServer, proc

MakeSpec = Callable[..., ChildSpec]


@pytest.fixture
async def guardian(server: ForkServer, make_spec: MakeSpec) -> int:
    """The process id of a guardian that stays, and waits. The first do not."""
    for _ in range(300):
        before, after = [(await ended(await server.start(make_spec("return_status", {"status": 0})))) for _ in range(2)]
        if before == after:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("no guardian stays")
    return after


async def ended(child: Child) -> int:
    """The guardian of an attempt that has ended well."""
    assert (await child.wait()).exit_status == 0
    return child.guardian_pid


async def test_the_next_attempt_has_the_same_guardian_and_is_not_touched_by_the_one_before(
    server: ForkServer, make_spec, guardian: int
):
    first = await server.start(make_spec("return_status", {"status": 3}))
    assert ((await first.wait()).exit_status, first.guardian_pid) == (3, guardian)
    spec = make_spec("speak_and_wait")
    second = await server.start(spec)
    first.terminate()
    first.kill()
    await first.close()
    assert (second.guardian_pid, first.processes()) == (guardian, [])
    assert second.processes() == [second.pid]
    (spec.directory / "go").touch()
    assert await ended(second) == guardian


async def test_two_attempts_at_once_have_a_guardian_each(server: ForkServer, make_spec, guardian: int):
    specs = [make_spec("speak_and_wait") for _ in range(2)]
    children = [await server.start(spec) for spec in specs]
    assert len({guardian, *(child.guardian_pid for child in children)}) == 2
    for spec in specs:
        (spec.directory / "go").touch()
    assert len({await ended(child) for child in children}) == 2


async def test_what_an_attempt_leaves_is_killed_before_its_guardian_takes_the_next(
    server: ForkServer, make_spec, guardian: int, living
):
    child = await server.start(make_spec("plant_tree_and_end"))
    tree = json.loads(await child.output.readline())
    assert await ended(child) == guardian
    assert living(tree) == []
    following = await server.start(make_spec("describe"))
    facts = json.loads(await following.output.readline())
    assert facts["environ"]["LOSSLINE_ATTEMPT"] == following.attempt
    end = await following.wait()
    assert (following.guardian_pid, end.exit_status, end.killed_descendants) == (guardian, 0, 0)


async def test_a_killed_attempt_leaves_its_guardian_to_the_next(server: ForkServer, make_spec, guardian: int):
    child = await server.start(make_spec("plant_tree"))
    await child.output.readline()
    child.kill()
    assert (await child.wait()).signal == signal.SIGKILL
    following = await server.start(make_spec("return_status", {"status": 4}))
    end = await following.wait()
    assert (following.guardian_pid, end.exit_status, end.signal) == (guardian, 4, None)


async def test_one_that_waits_has_nothing_of_the_attempts_it_has_served(server: ForkServer, make_spec, guardian: int):
    before = open_files(guardian)
    for _ in range(30):
        child = await server.start(make_spec("return_status", {"status": 0}))
        await ended(child)
        mark = f"LOSSLINE_ATTEMPT={child.attempt}".encode()
        assert mark not in proc.initial_environment(guardian)
    assert open_files(guardian) == before
    assert proc.descendants(guardian) == []


async def test_one_that_is_killed_while_it_waits_costs_the_next_attempt_nothing(
    server: ForkServer, make_spec, guardian: int
):
    os.kill(guardian, signal.SIGKILL)
    child = await server.start(make_spec("return_status", {"status": 0}))
    assert await ended(child) != guardian


async def test_one_that_dies_as_it_is_asked_costs_the_next_attempt_nothing(
    server: ForkServer, make_spec, guardian: int
):
    os.kill(guardian, signal.SIGSTOP)
    starting = asyncio.create_task(server.start(make_spec("return_status", {"status": 0})))
    await asyncio.sleep(0.05)
    assert not starting.done()
    os.kill(guardian, signal.SIGKILL)
    assert await ended(await starting) != guardian


async def test_one_whose_fork_server_has_died_is_let_go(
    server: ForkServer, make_spec, guardian: int, eventually, living
):
    first = await server.ready()
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: not server._launching.result().lives)
    child = await server.start(make_spec("return_status", {"status": 0}))
    assert await ended(child) != guardian
    assert await server.ready() != first
    await eventually(lambda: living([guardian]) == [])


def open_files(pid: int) -> list[str]:
    return sorted(str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())
