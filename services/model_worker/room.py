"""Room for an attempt on the worker's disk: without, a worker would fail sub-tasks faster than others complete them."""

import asyncio
import errno
import logging
import shutil
from pathlib import Path

log = logging.getLogger(__name__)

LEAST = 64 << 20
"""Bytes that must be free, or a twentieth of a small disk."""
_LOOK_EVERY = 1.0
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors that say that there is none."""


def has_room(directory: Path) -> bool:
    """Whether an attempt can begin."""
    usage = shutil.disk_usage(directory)
    return usage.free >= min(LEAST, usage.total // 20)


async def wait_for_room(directory: Path) -> None:
    """Return when an attempt can begin."""
    if not has_room(directory):
        log.error("The disk is full; no work is taken until there is room", extra={"directory": str(directory)})
    while not has_room(directory):
        await asyncio.sleep(_LOOK_EVERY)
