"""The control group of this process, as far as it concerns memory: its limit, and how often the kernel killed in it.

Both versions are read, through whatever the container shows of them; where nothing can be read, nothing is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

PROC = Path("/proc")


@dataclass(frozen=True)
class MemoryGroup:
    """The folder of the group below the mount of its hierarchy; `version` 1 or 2."""

    folder: Path
    mount: Path
    version: int

    def limit(self) -> int | None:
        """Bytes that the group, or one above it, allows; None where nothing is set."""
        name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
        found = [int(text) for folder in self._upwards() if (text := _text(folder / name).strip()).isdigit()]
        return min(found, default=None)

    def oom_kills(self) -> int | None:
        """Processes of the group that the kernel has killed for want of memory; None where that cannot be read."""
        return _field(self.folder / ("memory.events" if self.version == 2 else "memory.oom_control"), "oom_kill")

    def _upwards(self) -> Iterator[Path]:
        folder = self.folder
        while folder != self.mount:
            yield folder
            folder = folder.parent
        yield self.mount


@cache
def own_group(proc: Path = PROC) -> MemoryGroup | None:
    """The group that this process, and whatever it starts, is in. Read once: nobody moves a worker."""
    paths = dict(_paths(_text(proc / "self" / "cgroup")))
    for root, mount, kind, options in _mounts(_text(proc / "self" / "mountinfo")):
        # Where both versions are mounted, memory belongs to the first if its hierarchy has it.
        if kind == "cgroup" and "memory" in options and "memory" in paths:
            return MemoryGroup(_below(mount, root, paths["memory"]), mount, 1)
        if kind == "cgroup2" and "memory" not in paths and "" in paths:
            return MemoryGroup(_below(mount, root, paths[""]), mount, 2)
    return None


def machine_memory(proc: Path = PROC) -> int | None:
    """Bytes of this machine."""
    kilobytes = _field(proc / "meminfo", "MemTotal:")
    return None if kilobytes is None else kilobytes * 1024


def machine_oom_kills(proc: Path = PROC) -> int | None:
    """Processes of the whole machine that the kernel has killed for want of memory."""
    return _field(proc / "vmstat", "oom_kill")


def _paths(text: str) -> Iterator[tuple[str, str]]:
    """Controllers of version 1, and "" for version 2, with the path of this process in their hierarchy."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _mounts(text: str) -> Iterator[tuple[str, Path, str, list[str]]]:
    """Root, mount point, kind and options of the mounted hierarchies. Source: proc_pid_mountinfo(5)."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if kind and kind[0] in ("cgroup", "cgroup2"):
            yield fields[3], Path(fields[4]), kind[0], kind[-1].split(",")


def _below(mount: Path, root: str, path: str) -> Path:
    """A container often sees its own group at the mount point, under a path of the machine outside."""
    if ".." in PurePosixPath(path).parts or not PurePosixPath(path).is_relative_to(root):
        return mount
    folder = mount / PurePosixPath(path).relative_to(root)
    return folder if folder.is_dir() else mount


def _field(path: Path, name: str) -> int | None:
    """The number behind a name, in a file of lines."""
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
