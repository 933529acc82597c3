"""Memory that was refused: of a GPU, or of a machine whose system says no instead of ending the process.

Imports no torch: where it was not imported, it has refused nothing.
"""

from __future__ import annotations

import re
import sys
import traceback

from loretta_cli.numerals import memory_in_words

_SIGNS = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
    "Cannot allocate memory",
    "failed to map segment from shared object",
    "could not create a primitive",
)
_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+) ?(KiB|MiB|GiB)?")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused: torch has a class of its own for GPUs, and words for the rest."""
    if isinstance(error, MemoryError) or _is_of_gpu(error):
        return True
    is_refusal = isinstance(error, RuntimeError | OSError | ImportError)
    return is_refusal and any(sign in str(error) for sign in _SIGNS)


def was_on_gpu(error: BaseException) -> bool:
    """Whether it was the memory of a GPU."""
    return _is_of_gpu(error) or "CUDA" in str(error) or "CUBLAS" in str(error)


def _is_of_gpu(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def refused(error: BaseException) -> str:
    """What was refused, in words: "the GPU has no room for 2.0 GiB more"."""
    where = "the GPU" if was_on_gpu(error) else "the machine"
    found = _ASKED.search(str(error))
    if found is None:
        return f"{where} has no more memory"
    size = int(float(found[1]) * _UNITS[found[2] or ""])
    return f"{where} has no room for {memory_in_words(size)} more"


def let_go(error: BaseException) -> None:
    """Free what the calls that ended with an error still hold, such as the activations of a pass."""
    one: BaseException | None = error
    while one is not None:
        traceback.clear_frames(one.__traceback__)
        one = one.__cause__ or one.__context__
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
