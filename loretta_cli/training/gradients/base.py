"""The seam between the training loop and where its gradients come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn


class GradientEstimator(Protocol):
    """Fills ``.grad`` of the trainable parameters from a batch's loss.

    Because only 10^4 to 10^6 numbers train, an estimated gradient fits into ``.grad`` as an exact one does,
    and every optimizer, schedule, clipping and weight decay serves both.
    """

    def accumulate(
        self,
        model: nn.Module,
        loss: Callable[[], torch.Tensor],
        *,
        scale: float,
        backward: Callable[[torch.Tensor], None],
    ) -> torch.Tensor:
        """Add the gradient of ``scale * loss()`` to ``.grad``.

        Args:
            model: The model whose parameters train.
            loss: Computes the batch's loss, a scalar, at the model's present parameters.
            scale: One over the number of batches that one optimizer step accumulates.
            backward: Backpropagates a scalar, as the launcher in use does it.

        Returns:
            ``scale * loss`` without a graph.
        """
