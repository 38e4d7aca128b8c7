"""What the supervisor sees of a child: start, output, commands, end."""

import asyncio
import json
import os
import signal
import statistics
import time
from pathlib import Path

import pytest

from services.model_worker.processes import ChildEnd, ForkServer, proc


async def test_the_exit_status_of_an_entry_is_reported(server: ForkServer, make_spec):
    child = await server.start(make_spec("return_status", {"status": 7}))

    end = await child.wait()

    assert (end.exit_status, end.signal, end.lost_guardian) == (7, None, False)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGUSR1])
async def test_a_child_that_dies_by_a_signal_is_reported_with_it(server: ForkServer, make_spec, number):
    child = await server.start(make_spec("die_by_signal", {"signal": number}))

    end = await child.wait()

    assert (end.exit_status, end.signal) == (None, number)


async def test_an_entry_that_raises_prints_its_traceback_and_ends_with_one(server, make_spec, read_output):
    child = await server.start(make_spec("raise_error"))

    output = await read_output(child)

    assert output[-1] == b"ValueError: the entry failed on purpose"
    assert (await child.wait()).exit_status == 1


async def test_an_entry_may_leave_by_sys_exit(server, make_spec, read_output):
    child = await server.start(make_spec("leave_by_exit"))

    assert await read_output(child) == [b"leaving early"]
    assert (await child.wait()).exit_status == 1


async def test_a_directory_that_does_not_exist_shows_in_the_output(server, make_spec, read_output, base):
    spec = make_spec("describe")
    spec.spec_path.rename(base / "moved")
    spec.directory.rmdir()

    child = await server.start(spec)

    assert b"FileNotFoundError" in (await read_output(child))[-1]
    assert (await child.wait()).exit_status == 1


async def test_lines_arrive_while_the_child_runs(server: ForkServer, make_spec):
    spec = make_spec("speak_and_wait")
    child = await server.start(spec)
    lines = child.lines()

    first = await anext(lines)
    assert proc.is_alive(child.pid)
    (spec.directory / "go").touch()
    rest = [line async for line in lines]

    assert (first, rest) == (b'"first"', [b'"second"'])


async def test_bytes_that_are_no_text_and_endless_lines_come_through(server, make_spec, read_output):
    child = await server.start(make_spec("write_raw"))

    output = await read_output(child)

    assert output[0] == b"\xff\xfe not utf-8"
    assert max(map(len, output)) == 65536
    assert b"".join(output[1:]) == b"x" * 200_000 + b"unfinished"


async def test_a_step_looks_freshly_started(server: ForkServer, make_spec, environ):
    spec = make_spec("describe", umask=0o027, nice=3, attempt="attempt-of-this-test")

    child = await server.start(spec)
    facts = json.loads(await child.output.readline())

    assert {name: facts["environ"][name] for name in environ} == environ
    assert facts["environ"].keys() - environ.keys() <= {"LOSSLINE_ATTEMPT", "LOSSLINE_WORKER_SWEEP", "LC_CTYPE"}
    assert facts["environ"]["LOSSLINE_ATTEMPT"] == "attempt-of-this-test"
    assert (facts["directory"], facts["umask"], facts["nice"]) == (str(spec.directory), 0o027, os.nice(0) + 3)
    assert facts["session"] == facts["group"] == facts["pid"] == child.pid
    assert (facts["term"], facts["child"], facts["pipe"]) == (True, True, True)


async def test_two_steps_draw_different_random_numbers(server: ForkServer, make_spec):
    children = [await server.start(make_spec("describe")) for _ in range(2)]

    drawn = {json.loads(await child.output.readline())["random"] for child in children}

    assert len(drawn) == 2


async def test_only_supervisor_and_guardian_have_the_ends_of_a_lifeline(server: ForkServer, make_spec):
    child = await server.start(make_spec("plant_tree"))
    tree = json.loads(await child.output.readline())
    ours = Path(f"/proc/self/fd/{child._lifeline._socket.fileno()}").readlink()
    (theirs,) = _sockets(child.guardian_pid)

    others = {pid: {ours, theirs} & set(_open_files(pid)) for pid in [await server.ready(), *tree, *child.processes()]}

    assert ours != theirs
    assert set().union(*others.values()) == set()
    assert ours not in _open_files(child.guardian_pid)


async def test_a_step_has_no_descriptor_of_the_machinery(server: ForkServer, make_spec):
    child = await server.start(make_spec("describe"))

    descriptors = json.loads(await child.output.readline())["descriptors"]

    assert [name.partition(":")[0] for name in descriptors] == ["/dev/null", "pipe", "pipe"]
    assert descriptors[1] == descriptors[2]


def _sockets(pid: int) -> list[Path]:
    return [file for file in _open_files(pid) if file.name.startswith("socket:")]


def _open_files(pid: int) -> list[Path]:
    return [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]


async def test_terminate_reaches_a_grandchild_in_another_session(server: ForkServer, make_spec):
    spec = make_spec("pass_on_sigterm")
    child = await server.start(spec)
    assert await child.output.readline() == b"listening\n"

    child.terminate()
    end = await child.wait()

    assert end.exit_status == 0
    assert (spec.directory / "grandchild").read_text() == "reached\n"


async def test_kill_ends_every_process_of_the_attempt(server: ForkServer, make_spec, living):
    child = await server.start(make_spec("plant_tree"))
    tree = json.loads(await child.output.readline())
    assert set(tree) <= set(child.processes())

    child.kill()
    end = await child.wait()

    assert end.signal == signal.SIGKILL
    assert living(tree) == []
    assert (child.processes(), child.memory()) == ([], 0)


async def test_what_a_step_leaves_running_is_killed_at_its_end(server: ForkServer, make_spec, living):
    child = await server.start(make_spec("plant_tree_and_end"))
    tree = json.loads(await child.output.readline())

    end = await child.wait()

    assert end.exit_status == 0
    assert 4 <= end.killed_descendants <= 6  # the shell's own child may be counted too
    assert living(tree) == []


async def test_commands_after_the_end_are_harmless(server: ForkServer, make_spec):
    child = await server.start(make_spec("return_status", {"status": 0}))
    end = await child.wait()

    child.terminate()
    child.kill()

    assert await child.wait() is end


async def test_a_killed_guardian_takes_the_attempt_with_it_and_the_end_is_reported(server, make_spec, living):
    child = await server.start(make_spec("plant_tree"))
    tree = json.loads(await child.output.readline())

    _kill(child.guardian_pid)
    end = await child.wait()

    assert end == ChildEnd(None, signal.SIGKILL, killed_descendants=end.killed_descendants, lost_guardian=True)
    assert living(tree) == []


async def test_a_guardian_ignores_polite_signals(server: ForkServer, make_spec):
    spec = make_spec("speak_and_wait")
    child = await server.start(spec)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        _kill(child.guardian_pid, number)
    (spec.directory / "go").touch()

    assert (await child.wait()).exit_status == 0


async def test_memory_is_counted_while_the_child_runs_and_its_peak_at_the_end(server: ForkServer, make_spec):
    size = 64 * 1024 * 1024
    spec = make_spec("hold_memory", {"bytes": size})
    child = await server.start(spec)
    await child.output.readline()

    during = child.memory()
    (spec.directory / "go").touch()
    end = await child.wait()

    assert size <= during <= size + 64 * 1024 * 1024
    assert size <= end.peak_memory <= size + 128 * 1024 * 1024


async def test_twenty_children_start_at_once(server: ForkServer, make_spec):
    children = await asyncio.gather(
        *(server.start(make_spec("return_status", {"status": number})) for number in range(20))
    )

    ends = await asyncio.gather(*(child.wait() for child in children))

    assert [end.exit_status for end in ends] == list(range(20))
    assert len({child.pid for child in children}) == 20


async def test_a_request_of_any_size_arrives(server: ForkServer, make_spec):
    spec = make_spec("describe")
    spec.environ["LARGE"] = "x" * 1_000_000

    child = await server.start(spec)
    output = await child.output.read()

    assert len(json.loads(output)["environ"]["LARGE"]) == 1_000_000


async def test_the_fork_server_keeps_no_descriptor_of_its_children(server: ForkServer, make_spec):
    pid = await server.ready()
    before = len(_open_files(pid))

    for _ in range(50):
        child = await server.start(make_spec("return_status", {"status": 0}))
        await child.wait()

    assert len(_open_files(pid)) == before


async def test_a_start_takes_milliseconds(server: ForkServer, make_spec, record_property):
    latencies = [await _latency(server, make_spec("say_time")) for _ in range(20)]

    median = statistics.median(latencies)
    record_property("fork_latency_median_ms", round(median * 1000, 1))

    assert median < 0.1  # 4 ms on a calm machine; the bound is for a crowded one


async def _latency(server: ForkServer, spec) -> float:
    """Seconds from the call of start to the first line of the entry."""
    began = time.monotonic()
    child = await server.start(spec)
    reached = float(await child.output.readline())
    await child.wait()
    return reached - began


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, number)
