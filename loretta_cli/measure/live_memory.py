"""How much memory a piece of work takes at its worst moment, measured while it is done."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_rise_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Bytes of the tensors alive at the worst moment of ``work`` that were not there before.

    Args:
        work: Done once. On a CPU, what it allocates inside a single operation of torch is not seen.
        device: Where it computes.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device) - before)
    counted = _LiveBytes()
    with counted:
        work()
    return counted.highest


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it without types
    """Adds the bytes of every storage that an operation returns, and takes them off when it dies."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.highest = 0
        self._alive = 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id(one.untyped_storage()) for one in tree_leaves((args, kwargs)) if _is_plain(one)}
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves(result):
            if _is_plain(one) and id(one.untyped_storage()) not in given:  # otherwise a view, or in place
                self._add(one.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return

        def died(_: Any) -> None:
            del self._known[key]
            self._alive -= size

        self._known[key] = weakref.ref(storage, died)
        self._alive += size
        self.highest = max(self.highest, self._alive)


def _is_plain(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout == torch.strided
