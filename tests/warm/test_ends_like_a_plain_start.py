"""What a program leaves when it ends, and what its caller's `wait` sees."""

import signal
from pathlib import Path

import pytest

ENDINGS = {
    "in order": "tiny ends_in_order where; echo $?; test -e $(cat where); echo $?",
    "with a status": "tiny exits 7; echo $?; tiny exits 300; echo $?; tiny exits -1; echo $?",
    "with a sentence": "tiny exits 'no such peril'; echo $?",
    "with an error": "tiny fails; echo $?",
    "after a fork of its own": "tiny forks; echo $?",
    "interrupted": "tiny is_interrupted; echo $?",
    "with a broken pipe": "(tiny copies < /dev/zero; echo $? >&2) | true; tiny describe > /dev/full; echo $?",
}


@pytest.mark.parametrize("script", ENDINGS.values(), ids=ENDINGS.keys())
async def test_a_forked_program_ends_as_a_plain_start_does(place, script):
    plain = await place.run(script, warm=False)
    warm = await place.run(script)

    assert comparable(warm.lines) == comparable(plain.lines)
    assert len(warm.lines) > 1


def comparable(lines: list[str]) -> list[str]:
    """Without the address of a stream."""
    return [line for line in lines if "object at 0x" not in line]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGINT])
async def test_a_program_that_dies_of_a_signal_makes_its_client_die_of_it(place, number):
    script = f"exec 2>/dev/null; tiny dies {int(number)} & wait $!; echo $?"

    assert (await place.run(script)).lines == (await place.run(script, warm=False)).lines


async def test_a_program_that_is_killed_behind_its_clients_back_shows_so(place):
    script = "exec 2>/dev/null; tiny waits_plainly > out & c=$!; until read _ pid _ < out; do :; done; kill -9 $pid"

    outcome = await place.run(f"{script}; wait $c; echo $?")

    assert outcome.lines[0] == "137"


async def test_the_error_log_of_a_script_gets_nothing_from_clients(place):
    outcome = await place.run("tiny draws 2>log >/dev/null; (tiny waits_plainly 2>>log & kill -9 $!); wc -c < log")

    assert outcome.lines[0] == "0"


async def test_two_programs_draw_different_numbers(place):
    outcome = await place.run("tiny draws; tiny draws; tiny tells_parent")

    assert outcome.lines[0] != outcome.lines[1]
    assert outcome.lines[2] == "lossline-progs"


async def test_a_program_is_forked_only_if_what_acts_at_import_is_as_it_was(place):
    ways = ["", "TINY_OPTION=other", "PYTHONHASHSEED=1", "NUMBA_DEBUG=1", "OMP_NUM_THREADS=4", "LC_ALL=C", "TZ=UTC"]
    ways += ["OTHER=1", "OMP_NUM_THREADS=1"]
    outcome = await place.run("".join(f"{way} tiny tells_parent; " for way in ways))

    plain = [way for way, parent in zip(ways, outcome.lines, strict=False) if parent != "lossline-progs"]
    assert plain == ways[1:7]


async def test_a_program_that_is_started_plain_sees_its_own_variables(place):
    outcome = await place.run('TINY_OPTION=other tiny describe | grep -o \'"option": "[a-z]*"\'')

    assert outcome.lines[0] == '"option": "other"'


async def test_what_goes_before_the_installation_on_the_path_still_does(place, tmp_path: Path):
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    (vendor / "tiny").write_text("#!/bin/sh\necho of the vendor\n")
    (vendor / "tiny").chmod(0o755)

    outcome = await place.run("tiny; tiny-too tells_parent", PATH=f"{vendor}:{place.environ['PATH']}")

    assert outcome.lines[:2] == ["of the vendor", "lossline-progs"]


async def test_a_models_module_may_have_the_name_of_one_of_ours(place):
    """Ours are loaded in the warm process, and are found on its path; a plain start has not loaded them either."""
    script = "mkdir -p own/shared; touch own/shared/__init__.py; tiny finds_first own shared"

    for warm in (True, False):
        assert (await place.run(script, warm=warm)).lines[0].endswith("/own/shared")


async def test_programs_of_a_program_are_warm_too(place):
    outcome = await place.run("bash -c 'bash -c \"tiny tells_parent; true\"'")

    assert outcome.lines[0] == "lossline-progs"


async def test_a_step_without_clients_starts_everything_plain(place):
    outcome = await place.run("env | grep LOSSLINE_WARM=; tiny tells_parent; true", warm=False)

    assert outcome.lines[0] == "bash"
