"""What a forward or a backward pass would hold in memory, found by running it on shapes alone.

The pass runs on torch's meta device: every operation says of which shape its results are, autograd keeps what
it would keep, gradient checkpointing throws away what it would throw away, and nothing is computed. So a
frozen backbone below the first adapter keeps nothing, and any architecture is estimated without a formula of
its own. What the meta device does otherwise than the real one is put right here: which attention kernel is
taken, how dropout keeps its mask, and questions about the values of a tensor (they are answered no, and a
mask of padding is then made).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Trace:
    """Counts the bytes of the tensors that pieces of work hold, one piece after the other.

    Args:
        device: Where the work would be done, ``cpu`` or ``cuda``.
        vocabulary: Tokens of the model; what has so many columns are logits. 0 for none.
    """

    def __init__(self, device: str, vocabulary: int = 0) -> None:
        self.device, self._vocabulary = device, vocabulary

    def run(self, work: Callable[[], object]) -> tuple[int, int]:
        """Do a piece of work on the meta device.

        Returns:
            Bytes of all that was alive at the worst moment, and of the logits among it.
        """
        mode = _CountingMode(self._vocabulary)
        with mode, _as_on(self.device):
            work()
        return mode.highest, mode.logits_at_highest


class _CountingMode(TorchDispatchMode):
    """Follows every storage from the operation that makes it to its end."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it without types
        self._vocabulary = vocabulary
        self._alive = self._logits = 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self.highest = self.logits_at_highest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            return 0
        given = {id(one.untyped_storage()) for one in tree_leaves((args, kwargs)) if _is_tensor(one)}
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves(result):
            if _is_tensor(one) and id(one.untyped_storage()) not in given:  # otherwise a view, or in place
                self._add(one)
        return result

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._known or not size:
            return
        of_logits = size if self._vocabulary and tensor.shape[-1:] == (self._vocabulary,) else 0

        def died(_: Any) -> None:
            del self._known[key]
            self._alive -= size
            self._logits -= of_logits

        self._known[key] = weakref.ref(storage, died)
        self._alive += size
        self._logits += of_logits
        if self._alive > self.highest:
            self.highest, self.logits_at_highest = self._alive, self._logits


@contextmanager
def _as_on(device: str) -> Iterator[None]:
    """Have attention and dropout on the meta device keep what they keep on a real one.

    The two functions are replaced for this time: a mode of torch that intercepts calls is off while gradient
    checkpointing makes its second forward pass.
    """
    attention, dropout = F.scaled_dot_product_attention, F.dropout
    is_gpu = device == "cuda"

    def attend(*arguments: Any, **options: Any) -> Any:
        # A CPU's fused kernel has no dropout: with it, all scores are written out, as on the meta device.
        is_fused = len(arguments) == 3 and (is_gpu or not options.get("dropout_p"))
        return _fused_attention(*arguments, **options) if is_fused else attention(*arguments, **options)

    functions: Any = F
    functions.scaled_dot_product_attention = attend
    if is_gpu:
        functions.dropout = _fused_dropout
    try:
        yield
    finally:
        functions.scaled_dot_product_attention, functions.dropout = attention, dropout


def _fused_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    **_: Any,
) -> Any:
    """Attention that keeps its inputs, its output and one number a query, but no scores."""
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(
            attn_mask, dtype=query.dtype
        )  # torch turns it into numbers, and keeps it
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return fused(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]


def _fused_dropout(
    input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> torch.Tensor:
    """Dropout that keeps a mask of one byte a number."""
    if not training or not p:
        return input
    dropped: torch.Tensor = torch.ops.aten.native_dropout(input, p, True)[0]
    return dropped


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout == torch.strided
