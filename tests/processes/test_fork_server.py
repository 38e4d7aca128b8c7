"""The life of the fork server: imports, failures, death, restart."""

import asyncio
import os
import signal

import pytest

from services.model_worker.processes import ForkServer, ForkServerFailedError, proc


async def test_a_running_child_outlives_the_fork_server_and_the_next_start_works(server: ForkServer, make_spec):
    spec = make_spec("speak_and_wait")
    running = await server.start(spec)
    first_server = await server.ready()

    os.kill(first_server, signal.SIGKILL)
    next_child = await server.start(make_spec("return_status", {"status": 5}))
    (spec.directory / "go").touch()

    assert await server.ready() != first_server
    assert (await next_child.wait()).exit_status == 5
    assert (await running.wait()).exit_status == 0
    assert await running.output.read() == b'"first"\n"second"\n'


async def test_starts_that_wait_together_survive_the_death_of_the_fork_server(server: ForkServer, make_spec):
    os.kill(await server.ready(), signal.SIGKILL)

    children = await asyncio.gather(
        *(server.start(make_spec("return_status", {"status": number})) for number in range(5))
    )

    assert [(await child.wait()).exit_status for child in children] == list(range(5))


async def test_the_fork_server_ignores_polite_signals(server: ForkServer, make_spec):
    pid = await server.ready()

    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(pid, number)
    child = await server.start(make_spec("return_status", {"status": 0}))

    assert (await child.wait()).exit_status == 0
    assert await server.ready() == pid


async def test_leaving_the_context_kills_children_and_fork_server(base, environ, make_spec, eventually, left):
    async with ForkServer(("process_entries",), base_directory=base, environ=environ) as server:
        child = await server.start(make_spec("plant_tree"))
        await child.output.readline()

    assert (await child.wait()).signal == signal.SIGKILL
    await eventually(lambda: left(base) == [], within=2)


async def test_leaving_the_context_during_the_imports_ends_the_fork_server(base, environ, tmp_path, eventually, left):
    began = tmp_path / "began"
    environ["IMPORT_BEGAN"] = str(began)

    async with ForkServer(("slow_to_import",), base_directory=base, environ=environ):
        await eventually(lambda: began.exists() and began.read_text())

    await eventually(lambda: left(base) == [], within=2)


async def test_a_failed_import_is_reported_with_its_traceback(base, environ, make_spec):
    async with ForkServer(("json", "broken_import"), base_directory=base, environ=environ) as server:
        with pytest.raises(ForkServerFailedError) as failed:
            await server.ready()
        with pytest.raises(ForkServerFailedError):
            await server.start(make_spec("return_status", {"status": 0}))

    assert "Importing broken_import failed" in failed.value.reason
    assert "RuntimeError: this model is not licensed" in failed.value.reason


async def test_a_module_that_leaves_a_thread_behind_is_refused(base, environ):
    async with ForkServer(("threaded_import",), base_directory=base, environ=environ) as server:
        with pytest.raises(ForkServerFailedError, match="left threads running"):
            await server.ready()


@pytest.mark.parametrize("turns", [1, 2, 4, 8, 16])
async def test_a_start_that_is_given_up_leaves_nothing(server: ForkServer, make_spec, eventually, turns):
    before = len(proc.open_descriptors())
    spec = make_spec("plant_tree")
    start = asyncio.create_task(server.start(spec))
    for _ in range(turns):
        await asyncio.sleep(0)  # one turn of the event loop

    start.cancel()
    await asyncio.gather(start, return_exceptions=True)

    mark = f"LOSSLINE_ATTEMPT={spec.attempt}".encode()
    await eventually(lambda: not any(mark in proc.initial_environment(pid) for pid in proc.process_ids()))
    assert start.cancelled()
    assert len(proc.open_descriptors()) == before
