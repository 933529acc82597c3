"""Tensors that begin where the processor likes it, so that the bits of a loss are the same in every process.

Weights that are read from a mapped file begin at any byte; in several processes transformers and accelerate
copy them. Matrix products round differently for both: a loss of one process would differ in its last bits
from that of two.
"""

from __future__ import annotations

import itertools

from torch import nn

BYTES = 64


def align(model: nn.Module) -> None:
    """Copy every tensor on a CPU that does not begin at a multiple of 64 bytes, one at a time."""
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % BYTES:
            tensor.data = tensor.data.clone()
