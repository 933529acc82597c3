"""The exact gradient, by backpropagation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class Backprop:
    """Calls ``backward`` on the loss."""

    def accumulate(
        self,
        model: nn.Module,
        loss: Callable[[], torch.Tensor],
        *,
        scale: float,
        backward: Callable[[torch.Tensor], None],
    ) -> torch.Tensor:
        """Backpropagate ``scale * loss()``."""
        value = loss() * scale
        backward(value)
        return value.detach()
