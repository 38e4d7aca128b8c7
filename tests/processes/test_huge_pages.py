"""Memory of the fork server in huge pages: which places are taken, and that the kernel does it."""

import mmap
import os
from pathlib import Path

import pytest

from services.model_worker.processes import ForkServer
from services.model_worker.processes.huge_pages import HUGE, gather_memory, huge_places

_KIB = 1024


def huge_kib(pid: int) -> int:
    """Of a process's own memory in huge pages."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages:"))


@pytest.fixture
def kernel_gathers() -> bool:
    """Whether this kernel has huge pages and the call (Linux 6.1 and later)."""
    major, minor = map(int, os.uname().release.split(".")[:2])
    return (major, minor) >= (6, 1) and Path("/sys/kernel/mm/transparent_hugepage").is_dir()


@pytest.mark.parametrize(
    "line",
    [
        "600000-a00000 r--p 00000000 00:00 0",
        "600000-a00000 r-xp 00000000 00:00 0",
        "600000-a00000 rw-s 00000000 00:01 12 /memfd:x (deleted)",
        "600000-a00000 rw-p 00000000 08:01 1234 /usr/lib/libc.so.6",
        "600000-a00000 rw-p 00000000 00:00 0  [stack]",
        "601000-9ff000 rw-p 00000000 00:00 0",
    ],
)
def test_memory_of_a_file_shared_memory_code_and_the_stack_stay_as_they_are(line: str):
    assert list(huge_places([line])) == []


def test_only_whole_huge_pages_are_taken():
    assert list(huge_places(["5ff000-a01000 rw-p 00000000 00:00 0"])) == [3 * HUGE, 4 * HUGE]


def test_touched_memory_becomes_huge_pages_and_keeps_its_content(kernel_gathers: bool):
    content = os.urandom(4 * _KIB) * (4 * HUGE // (4 * _KIB))
    with mmap.mmap(-1, len(content), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        memory.write(content)
        memory.madvise(mmap.MADV_HUGEPAGE)
        before = huge_kib(os.getpid())
        gathered = gather_memory()
        grown = huge_kib(os.getpid()) - before
        assert memory[:] == content
    assert (gathered > 0) is kernel_gathers
    assert (grown >= 3 * HUGE // _KIB) is kernel_gathers


async def test_the_fork_server_serves_first_and_gathers_its_memory_when_it_has_time(
    server: ForkServer, make_spec, eventually, kernel_gathers: bool
):
    pid = await server.ready()
    assert huge_kib(pid) == 0
    early = await server.start(make_spec("return_status", {"status": 0}))
    assert (await early.wait()).exit_status == 0

    await eventually(lambda: (huge_kib(pid) > 0) is kernel_gathers)

    early_guardian, late_one = early.guardian_pid, await server.start(make_spec("return_status", {"status": 0}))
    assert (await late_one.wait()).exit_status == 0
    assert late_one.guardian_pid != early_guardian, "it has the memory as it was before"
