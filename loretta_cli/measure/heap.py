"""What glibc's heap keeps resident beyond the tensors that are alive, found with glibc's own ``malloc``.

On a CPU a tensor is one ``posix_memalign``. Blocks of up to 32 MiB come from a heap that grows at one end; a
block that was freed can be taken again only by a smaller one, and the heap shrinks only from its end. So the
resident memory of a training is up to twice what its tensors take. No formula says how much: it depends on
the order of all requests. So the requests of a traced step are made here, of the same sizes and in the same
order, between all the small ones that torch and Python make anyway. The blocks are never written to, so they
take address space and no memory.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path
from typing import Any

_PAGE = 4096
_ALIGNMENT = 64
MOST_OF_HEAP = 32 * 2**20 - 2**16
"""Larger blocks never come from the heap; others do once a block as large was freed."""
_IS_MAPPED, _IS_OTHER_ARENA = 2, 4
"""Bits that glibc keeps in the size before a block."""


class Heap:
    """Blocks that are taken and given back, and the pages that they would have made resident.

    Args:
        libc: The C library.
        start: Address at which the heap begins.
    """

    def __init__(self, libc: Any, start: int) -> None:
        self._libc, self._start = libc, start
        self._touched = bytearray()
        self._pages = self._mapped = 0
        self.peak = 0
        """The most bytes that would have been resident at once."""

    def take(self, size: int) -> tuple[int, int] | None:
        """Take a block; None if the system refuses it.

        Returns:
            Its address, and how many bytes it has of its own if it does not lie in the heap.
        """
        block = ctypes.c_void_p()
        if self._libc.posix_memalign(ctypes.byref(block), _ALIGNMENT, size) or not block.value:
            return None
        address = block.value
        is_mapped = ctypes.c_size_t.from_address(address - ctypes.sizeof(ctypes.c_size_t)).value & (
            _IS_MAPPED | _IS_OTHER_ARENA
        )
        own = size if is_mapped or address < self._start else 0
        self._mapped += own
        if not own:
            self._shrink()
            self._touch((address - self._start) // _PAGE, (address + size - self._start) // _PAGE + 1)
        self.peak = max(self.peak, self._pages * _PAGE + self._mapped)
        return address, own

    def give_back(self, address: int, own: int) -> None:
        """Give a block back.

        Args:
            address: Of :meth:`take`.
            own: Of :meth:`take`.
        """
        self._libc.free(address)
        self._mapped -= own

    def _touch(self, first: int, last: int) -> None:
        if last > len(self._touched):
            self._touched.extend(bytes(last - len(self._touched)))
        self._pages += last - first - self._touched.count(1, first, last)
        self._touched[first:last] = b"\1" * (last - first)

    def _shrink(self) -> None:
        """Forget the pages that the heap has returned to the system at its end."""
        end = (self._libc.sbrk(0) - self._start) // _PAGE + 1
        if end < len(self._touched):
            self._pages -= self._touched.count(1, end)
            del self._touched[end:]


def make_heap(largest: int = 0) -> Heap | None:
    """A heap to try requests on; None where the C library is not glibc.

    Args:
        largest: Size of the largest block that will be asked for, of those that may come from the heap. One
            such block is freed before: a training does so early, but when is chance.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return None
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    line = next((line for line in maps.splitlines() if line.endswith("[heap]")), None)
    if line is None:
        return None
    libc = ctypes.CDLL(None)
    libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_size_t, [ctypes.c_ssize_t]
    libc.posix_memalign.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    made = Heap(libc, int(line.partition("-")[0], 16))
    for _ in range(2):
        if largest and (block := made.take(min(largest, MOST_OF_HEAP))) is not None:
            made.give_back(*block)
    made.peak = 0
    return made
