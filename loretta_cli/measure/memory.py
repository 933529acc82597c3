"""Peak memory of this process."""

from __future__ import annotations

import sys


def peak_memory_bytes() -> int:
    """The most memory held so far: on the GPU where there is one, else resident in RAM."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
