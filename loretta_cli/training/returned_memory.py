"""Freed memory: how much of it the C library keeps, and having it go back to the system at once.

On a CPU, glibc keeps large freed blocks for later ones. Gradient checkpointing leaves the few tensors that it
saves between many that it frees, so that what is kept cannot be used again: a process holds twice what its
tensors do (``benchmarks/memory_estimate``).
"""

from __future__ import annotations

import ctypes
import platform

_MMAP_THRESHOLD = -3
"""``M_MMAP_THRESHOLD`` of ``malloc.h``."""
LARGE = 2**20
"""Bytes from which a block is mapped for itself."""


class _MallInfo(ctypes.Structure):
    """``struct mallinfo2`` of ``malloc.h``."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def kept_for_later() -> int:
    """Bytes of freed blocks that the C library keeps for later ones; 0 where it does not tell."""
    told = getattr(ctypes.CDLL(None), "mallinfo2", None) if platform.libc_ver()[0] == "glibc" else None
    if told is None:
        return 0
    told.restype = _MallInfo
    return int(told().fordblks)


def return_large_blocks() -> bool:
    """Have blocks of a MiB or more given back as soon as they are freed, for the rest of the process.

    Returns:
        Whether the C library was told so; one that is not glibc has no such setting.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE))
