"""One Lossline per data folder: a lock that lives exactly as long as the processes that use the folder."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from services.embedded.child import wait_until
from services.embedded.errors import FolderInUse


class FolderLock:
    """`flock` on a file in the folder.

    Servers inherit the descriptor (`fileno`), so the lock is held until the last of them is gone too: a server
    whose starter was killed cannot meet a second one on the same files. `patience` (s) bridges their last moments.
    """

    def __init__(self, folder: Path, patience: float = 5.0) -> None:
        self._folder = folder
        self._patience = patience
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not self._take() and not (self._holder_is_dead() and wait_until(self._take, self._patience)):
            holder = self._holder()
            os.close(self._descriptor)
            raise FolderInUse(self._folder, f"process {holder}" if holder else "")
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # Closed, not unlocked: LOCK_UN would also free it for a server that has inherited the descriptor.
        os.close(self._descriptor)

    def fileno(self) -> int:
        """The descriptor that servers inherit."""
        return self._descriptor

    def _take(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holder(self) -> str:
        return os.pread(self._descriptor, 20, 0).decode(errors="replace")

    def _holder_is_dead(self) -> bool:
        """Whether only servers of a starter that has died still hold the lock; they end by themselves soon."""
        holder = self._holder()
        if not holder.isdigit():
            return True
        try:
            os.kill(int(holder), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return sys.platform.startswith("linux") and _is_zombie(int(holder))


def _is_zombie(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"
