"""Memory in few large pages, so that a fork has little to copy.

A fork copies the page table of all memory that is a process's own, one entry for 4 KiB, and an exit takes it down:
for the warm process, with its 200 MiB, a third of what a short program costs. Where the kernel has put 2 MiB into one
page there is one entry instead of 512. A child that writes gets copies of 4 KiB as ever.
"""

import ctypes
from collections.abc import Iterable, Iterator
from pathlib import Path

HUGE = 2 << 20
"""Bytes of a huge page on x86-64, and on AArch64 with pages of 4 KiB; other kernels refuse, and nothing changes."""

_MADV_COLLAPSE = 25
_OURS = ("", "[heap]")

_LIBC = ctypes.CDLL(None, use_errno=True)


def gather_memory() -> int:
    """Put this process's own memory into huge pages where the kernel can; returns how many there are now.

    Takes about 0.4 s for 200 MiB. None on kernels before Linux 6.1, which do not know the call.
    """
    maps = Path("/proc/self/maps").read_text().splitlines()
    return sum(_collapse(address) for address in huge_places(maps))


def huge_places(maps: Iterable[str]) -> Iterator[int]:
    """Addresses at which a huge page fits into memory that is writable, private and of no file, by lines of `maps`.

    >>> list(map(hex, huge_places(["5ff000-a01000 rw-p 0 00:00 0  [heap]", "c00000-e00000 r--p 0 08:01 7 /lib"])))
    ['0x600000', '0x800000']
    """
    for line in maps:
        area, mode, _, _, inode, *name = line.split(maxsplit=5)
        if mode != "rw-p" or inode != "0" or "".join(name).strip() not in _OURS:
            continue
        first, end = (int(text, 16) for text in area.split("-"))
        yield from range(-(-first // HUGE) * HUGE, end - HUGE + 1, HUGE)


def _collapse(address: int) -> bool:
    done: int = _LIBC.madvise(ctypes.c_void_p(address), ctypes.c_size_t(HUGE), _MADV_COLLAPSE)
    return done == 0
