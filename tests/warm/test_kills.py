"""Groups, signals, and deaths: of clients, of programs, of the program server, of the warm process."""

import asyncio
import os
import signal
from contextlib import suppress

import pytest

from services.model_worker.processes import proc

READY = "until [ -s out ]; do sleep 0.01; done; read _ program server < out"


async def test_a_program_is_in_its_clients_group_and_session(place):
    script = f"tiny waits_plainly > out & {READY}; ps -o pgid=,sess= -p $$ -p $program -p $! | uniq | wc -l"

    outcome = await place.run(f"{script}; kill -9 $!; true")

    assert outcome.lines[0].strip() == "1"


async def test_the_program_server_is_in_no_group_of_a_script(place):
    outcome = await place.run(
        f"tiny waits_plainly > out & {READY}; ps -o pgid= -p $$ -p $server | uniq | wc -l; kill $!"
    )

    assert outcome.lines[0].strip() == "2"


async def test_killing_the_client_kills_its_program(place):
    script = f"tiny waits_plainly > out & {READY}; kill -9 $!; timeout 20 tail -f --pid=$program /dev/null; echo $?"

    assert (await place.run(f"exec 2>/dev/null; {script}")).lines[0] == "0"


@pytest.mark.parametrize("name", ["HUP", "USR1", "ALRM"])
async def test_signals_are_passed_on(place, name):
    script = f"tiny waits > out & {READY}; kill -{name} $!; until grep -q SIG out; do :; done; kill -USR2 $!; wait $!"

    outcome = await place.run(f"{script}; echo $?; tail -1 out")

    assert outcome.lines[:2] == ["7", f"SIG{name}"]


@pytest.mark.parametrize("name", ["STOP", "TSTP"])
async def test_stop_and_continue_are_passed_on(place, name):
    state = "ps -o state= -p $program"
    script = f"""
    tiny waits > out & {READY}
    kill -{name} $!; until [ "$({state})" = T ]; do sleep 0.02; done; echo stopped
    kill -CONT $!; until [ "$({state})" != T ]; do sleep 0.02; done; echo goes on
    kill -USR2 $!; wait $!; echo $?
    """
    outcome = await asyncio.wait_for(place.run(script), 60)

    assert outcome.lines[:3] == ["stopped", "goes on", "7"]


async def test_a_script_that_kills_its_group_leaves_no_program(place, eventually):
    script = "for i in 1 2 3; do tiny waits_plainly & done; wait"
    child = await place.start(script)
    programs = [int((await child.output.readline()).split()[1]) for _ in range(3)]

    os.killpg(os.getpgid(programs[0]), signal.SIGKILL)

    await eventually(lambda: not any(map(proc.is_alive, programs)))
    await child.close()


async def test_no_process_is_left_after_a_cancel(place, eventually):
    child = await place.start("for i in 1 2 3; do tiny waits_plainly & done; wait")
    for _ in range(3):
        await child.output.readline()
    everything = child.processes()

    child.terminate()
    await child.close()

    assert len(everything) >= 8  # step, shell, server, three clients, three programs
    await eventually(lambda: not any(map(proc.is_alive, everything)))


async def test_programs_are_processes_of_their_attempt(place):
    child = await place.start("tiny waits_plainly & wait")
    program, server = map(int, (await child.output.readline()).split()[1:])

    assert {program, server} <= set(child.processes())
    assert (await kill_and_wait(child)).signal == signal.SIGKILL


async def test_an_attempt_whose_programs_die_with_their_server_is_lost(place):
    child = await place.start("tiny waits_plainly & wait; echo went on")
    program, server = map(int, (await child.output.readline()).split()[1:])

    os.kill(server, signal.SIGKILL)
    async for _ in child.lines():
        pass

    assert (await child.wait()).lost_programs
    assert not proc.is_alive(program)


async def test_a_server_that_dies_idle_makes_later_programs_plain_and_nothing_is_lost(place):
    script = f"""
    tiny waits > out & {READY}; kill -USR2 $!; wait $!; echo $?
    sleep 0.3; kill -9 $server; while kill -0 $server; do :; done 2>/dev/null
    tiny tells_parent; echo fine
    """
    outcome = await place.run(script)

    assert outcome.lines == ["7", "bash", "fine", "status 0"]
    assert (outcome.end.exit_status, outcome.end.lost_programs) == (0, False)


async def test_killing_the_warm_process_changes_nothing_for_a_running_attempt(place):
    child = await place.start("echo go; until [ -e on ]; do :; done; tiny tells_parent; seq 3 | tiny copies; echo $?")
    await child.output.readline()

    os.kill(await place.server.ready(), signal.SIGKILL)
    (place.directory / "attempt-0" / "on").touch()
    lines = [line async for line in child.lines()]
    later = await place.run("tiny tells_parent")

    assert lines == [b"lossline-progs", b"1", b"2", b"3", b"0", b"status 0"]
    assert later.lines[0] == "lossline-progs"


async def test_a_program_is_started_once_however_its_server_dies(place):
    """Killed at any moment of a start: the program has run once, warm or plain, or the attempt is lost."""
    for moment in range(12):
        child = await place.start("tiny tells_server; tiny counts_itself n")
        server = int(await child.output.readline())
        await asyncio.sleep(moment * 0.002)
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
        async for _ in child.lines():
            pass
        counted = place.directory / f"attempt-{moment}" / "n"
        times = counted.read_text().count("once") if counted.exists() else 0
        assert times == 1 or (times == 0 and (await child.wait()).lost_programs)


async def test_another_session_gets_a_plain_start(place):
    outcome = await place.run("setsid --wait bash -c 'tiny tells_parent; true'")

    assert outcome.lines[0] == "bash"


async def test_two_attempts_have_two_servers(place):
    children = [await place.start("tiny waits_plainly & wait") for _ in range(2)]
    servers = {int((await child.output.readline()).split()[2]) for child in children}
    ends = [await kill_and_wait(child) for child in children]

    assert len(servers) == 2
    assert [end.lost_programs for end in ends] == [False, False]


async def test_the_peak_memory_of_programs_is_that_of_their_attempt(place):
    outcome = await place.run(f"tiny takes_memory {200 * 2**20}; true")

    assert outcome.end.peak_memory > 200 * 2**20


async def kill_and_wait(child):
    child.kill()
    async for _ in child.lines():
        pass
    return await child.wait()
