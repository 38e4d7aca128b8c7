"""The programs of oasislmf themselves, warm and plain."""

import os
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.model_worker.processes import ForkServer, proc, sweep
from services.model_worker.warm.clients import install_clients
from services.model_worker.warm.environment import CLIENTS_VARIABLE, LOAD
from services.model_worker.warm.programs import installed_names, scripts_directory

HERE = Path(__file__).parent


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def oasis(tmp_path_factory: pytest.TempPathFactory, place_type: type) -> AsyncIterator[Any]:
    """A warm process of oasislmf, which is the same after every test."""
    base = tmp_path_factory.mktemp("worker")
    environ = {
        "PATH": f"{scripts_directory()}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}",
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(base / "numba")),
        CLIENTS_VARIABLE: str(install_clients(base / "programs", installed_names(), scripts_directory())),
    }
    async with ForkServer(("tiny_entries", LOAD), base_directory=base, environ=environ) as server:
        yield place_type(base, environ, server, count())
    sweep(base)


async def test_every_installed_program_says_the_same_of_itself(oasis):
    names = installed_names()
    script = "".join(f"echo {name}; {name} --help 2>&1 < /dev/null; " for name in names)

    warm, plain = await oasis.run(script), await oasis.run(script, warm=False)

    assert {"evepy", "gulmc", "fmpy", "summarypy", "katpy", "join-summary-info"} <= set(names)
    assert "oasislmf" not in names
    assert warm.lines == plain.lines


async def test_the_warm_process_has_one_thread_and_no_file_but_a_librarys(oasis):
    pid = await oasis.server.ready()
    links = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir() if int(link.name) > 2]

    assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
    assert {link.name for link in links if link.is_absolute() and link.parts[1] != "dev"} <= {"proj.db"}
    assert proc.memory(pid) < 500 * 2**20


async def test_programs_write_the_same_bytes(oasis):
    """Events out of a file, divided and shuffled, and back to text."""
    script = """
    mkdir -p input log; seq 1 500 | sed '1i event_id' | csvtobin eve > input/events.bin 2>> err
    for n in 1 2 3; do evepy $n 3 | cksum; done; evepy 1 1 -r | wc -c; bintocsv eve < input/events.bin | cksum; cat err
    """
    warm, plain = await oasis.run(script), await oasis.run(script, warm=False)

    assert warm.lines == plain.lines
    assert len(set(warm.lines)) > 4


async def test_signatures_that_programs_use_are_noted_for_the_next_warm_process(oasis, place_type, tmp_path: Path):
    cache = tmp_path / "noting"
    environ = oasis.environ | {"NUMBA_CACHE_DIR": str(cache)}
    seen = []
    for number in range(2):
        base = tmp_path / f"worker-{number}"
        base.mkdir()
        async with ForkServer(("tiny_entries", LOAD), base_directory=base, environ=environ) as server:
            outcome = await place_type(base, environ, server, oasis.numbers).run(LOSSES_TO_BINARY)
        seen.append((outcome.lines, sorted((cache / "lossline-signatures").glob("*.pickle"))))

    assert seen[0] == seen[1]
    assert len(seen[0][1]) == 1


LOSSES_TO_BINARY = r"""
printf 'event_id,item_id,sidx,loss\n1,1,-1,2.0\n1,1,1,3.0\n' | csvtobin gul -S 1 -t 1 2>&1 | cksum
"""
