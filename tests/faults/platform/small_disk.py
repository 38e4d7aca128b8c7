"""A disk of a few MiB under a worker, which can be filled. Needs the right to mount, as root has on a plain machine."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAY_MOUNT = 1 << 21
"""CAP_SYS_ADMIN."""


def may_mount() -> bool:
    """Whether this process has the right. Source: capabilities(7), proc_pid_status(5)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (effective,) = [line.split()[1] for line in lines if line.startswith("CapEff:")]
    return bool(int(effective, 16) & _MAY_MOUNT)


@contextmanager
def small_disk(folder: Path, mib: int = 8) -> Iterator[None]:
    """Mount a file system of this size there while inside."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave not a byte."""
    with (folder / "filler").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def clear(folder: Path) -> None:
    """Make room again."""
    (folder / "filler").unlink(missing_ok=True)
