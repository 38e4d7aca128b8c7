"""Reading /proc. A process that ends while it is read counts as not there."""

import os
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_GONE = (FileNotFoundError, ProcessLookupError)
_PAGE = os.sysconf("SC_PAGE_SIZE")


def process_ids() -> list[int]:
    """Every process of this pid namespace."""
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def descendants(pid: int) -> list[int]:
    """Children of `pid`, their children, and so on; parents come before their children. Zombies are included.

    One look may miss a process whose sibling ends, or which is forked, meanwhile: who must have all looks again until
    nothing is new.
    """
    children = _children_by_scan() if not _kernel_lists_children() else None
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        below = list(_children_of(parent)) if children is None else children.get(parent, [])
        found += below
        waiting += below
    return found


def _kernel_lists_children() -> bool:
    """CONFIG_PROC_CHILDREN; absent from some small kernels."""
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists()


def _children_of(pid: int) -> Iterator[int]:
    try:
        threads = list((_PROC / str(pid) / "task").iterdir())
    except _GONE:
        return
    for thread in threads:
        yield from map(int, _read(thread / "children").split())


def _children_by_scan() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for pid in process_ids():
        fields = stat_fields(pid)
        if fields:
            children.setdefault(int(fields[1]), []).append(pid)
    return children


def stat_fields(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the state on: state, parent, process group, session, …; empty when it is gone."""
    # The name before them is in parentheses and may hold anything, parentheses too.
    return _read(_PROC / str(pid) / "stat").decode(errors="replace").rpartition(")")[2].split()


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    fields = stat_fields(pid)
    return bool(fields) and fields[0] not in "ZX"


def initial_environment(pid: int) -> list[bytes]:
    """`NAME=value` strings as of the process's last execve; empty for a process of another user and for a zombie."""
    try:
        return _read(_PROC / str(pid) / "environ").split(b"\0")
    except PermissionError:
        return []


def memory(pid: int) -> int:
    """Proportional set size in bytes: a page that n processes share counts 1/n.

    Costs about 5 ms per GiB (the kernel walks the page table). The resident set is cheaper but counts the fork
    server's pages once per process (hundreds of MiB each), which makes an attempt of twenty forked programs look like
    an overflow. It is the fallback.
    """
    try:
        rollup = _read(_PROC / str(pid) / "smaps_rollup")
    except PermissionError:
        rollup = b""
    for line in rollup.splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return resident_memory(pid)


def resident_memory(pid: int) -> int:
    """Resident set size in bytes."""
    fields = _read(_PROC / str(pid) / "statm").split()
    return int(fields[1]) * _PAGE if fields else 0


def threads() -> list[str]:
    """Names of this process's threads; the main thread is one of them."""
    return [_read(task / "comm").decode().strip() for task in Path("/proc/self/task").iterdir()]


def open_descriptors() -> list[int]:
    """File descriptors of this process; the one of the listing itself may be among them and is closed by then."""
    return list(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - each attempt pays for what pathlib makes of it


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except _GONE:
        return b""
