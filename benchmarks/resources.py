"""What processes take: memory and processor time, read from /proc."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import psutil

_MIB = 1024.0
_FORK_SERVER = "services.model_worker.processes.fork_server"


def proportional_mib(pid: int) -> float:
    """Memory of one process, pages that it shares counted in part (PSS), in MiB."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(kib) for kib in re.findall(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)) / _MIB


def resident_mib(pid: int) -> float:
    """Memory of one process, shared pages counted in full (RSS), in MiB."""
    return float(psutil.Process(pid).memory_info().rss) / _MIB**2


def forget_peak(pid: int) -> None:
    """From now on `peak_mib` of the process counts anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def peak_mib(pid: int) -> float:
    """The most resident memory that one process has had (VmHWM), in MiB."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise LookupError(f"this system does not tell VmHWM of process {pid}")
    return int(found.group(1)) / _MIB


def family(pid: int) -> list[int]:
    """A service's processes, without the fork server of a worker, which is model code kept warm."""
    process = psutil.Process(pid)
    below = [child for child in process.children(recursive=True) if _FORK_SERVER not in child.cmdline()]
    return [pid, *(child.pid for child in below)]


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor time that these processes and their ended children have taken so far, in seconds."""
    return sum(sum(psutil.Process(pid).cpu_times()[:4]) for pid in pids)


def load() -> float:
    """The load average of the last minute: above the number of cores, others are at work here too."""
    return os.getloadavg()[0]
