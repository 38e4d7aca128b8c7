"""A copy of a descriptor left anywhere would keep a FIFO's reader waiting for ever."""

import asyncio


async def test_a_reader_sees_the_end_when_the_program_has_ended(place):
    script = "mkfifo f; (tiny copies < /dev/null > f &); timeout 20 cat f; echo read $?"

    assert (await place.run(script)).lines[0] == "read 0"


async def test_programs_that_wait_for_each_other_do_not_wait_for_the_server(place):
    """The reader is asked for first, and its FIFO has no writer yet; the shell opens it, not the server."""
    chain = "tiny copies < a > b & tiny copies < b > c & tiny copies < c & "
    script = f"mkfifo a b c; {chain} for i in 1 2 3 4 5; do tiny draws > /dev/null; done; seq 3 > a; wait; echo done"

    outcome = await asyncio.wait_for(place.run(script), 60)

    assert outcome.lines[:4] == ["1", "2", "3", "done"]


async def test_many_pipelines_at_once_get_their_own_descriptors(place):
    one = "(seq {n} {m} | tiny copies | tiny copies | tiny copies > out{n})"
    script = " & ".join(one.format(n=n, m=n + 500) for n in range(8)) + " & wait; cksum out*"
    plain = " & ".join(f"seq {n} {n + 500} > out{n}" for n in range(8)) + " & wait; cksum out*"

    assert (await place.run(script)).lines == (await place.run(plain)).lines


async def test_neither_server_nor_client_nor_another_program_keeps_a_pipe_open(place):
    """While other programs run, that were started before and after, the end of one's output is seen at once."""
    script = """
    tiny waits_plainly > w1 & until [ -s w1 ]; do :; done
    echo x | tiny copies | timeout 20 cat; echo end $?
    tiny waits_plainly > w2 & until [ -s w2 ]; do :; done
    mkfifo f; tiny copies < /dev/null > f & timeout 20 cat f; echo end $?
    kill -9 $(jobs -p); wait 2>/dev/null; true
    """
    outcome = await place.run(f"exec 2>/dev/null; {script}")

    assert outcome.lines[:3] == ["x", "end 0", "end 0"]


async def test_more_descriptors_than_can_be_passed_make_a_plain_start(place):
    script = 'for i in $(seq 300); do eval "exec $((i+20))</dev/null"; done; tiny tells_parent; true'

    outcome = await place.run(f"ulimit -n 2000; {script}")

    assert outcome.lines[0] == "bash"


async def test_a_limit_of_open_files_holds_for_the_program(place):
    outcome = await place.run("ulimit -n 64; tiny tells_parent; tiny describe | grep -o '\\[64, 64\\]'")

    assert outcome.lines[:2] == ["lossline-progs", "[64, 64]"]
