"""The losses of tiny models on a batch, as a training hands them to its gradient estimator."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from loretta_cli.training.gradients.base import BatchLoss
from loretta_cli.training.gradients.directions import direction
from loretta_cli.training.gradients.vector import ParameterVector, trained_parameters
from tests.tiny_models import labelled_batch
from tests.tuners.adapters import adapted


class LabelledForm:
    """The cross-entropy of :func:`labelled_batch`: of a class, or of tokens, in one mean a row."""

    def losses(self, model: nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """``(rows,)``, fp32."""
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        logits = model(**inputs).logits.float()
        if logits.dim() == 2:
            return cross_entropy(logits, batch["labels"], reduction="none")
        return cross_entropy(logits.transpose(1, 2), batch["labels"], reduction="none").mean(-1)


def batch_loss(model: Any, inputs: Mapping[str, torch.Tensor], form: Any = None) -> BatchLoss:
    """The loss of a batch whose rows have unequal weights.

    Args:
        model: In evaluation mode.
        inputs: The batch, with ``labels``.
        form: That has the losses; :class:`LabelledForm` if None.
    """
    weights = torch.arange(1.0, len(inputs["labels"]) + 1)
    return BatchLoss(model, form or LabelledForm(), inputs, weights / weights.sum(), contextlib.nullcontext)


def family_loss(
    family: str, method: str, preset: str, *, rows: int = 3, **settings: Any
) -> tuple[BatchLoss, ParameterVector]:
    """The loss of a tiny model of a family with an adapter, and what trains of it."""
    model = adapted(family, method, preset, **settings)
    return batch_loss(model, labelled_batch(family, rows=rows)), trained_parameters(model)


def directions_for(vector: ParameterVector) -> Callable[[int], torch.Tensor]:
    """From a query to its direction."""
    size = sum(vector.sizes.values())
    return lambda query: direction(0, 0, query, size, "gaussian")
