"""The classification head of an adapter: the paper's tensor-train classifier, or the model's own.

LoRETTA, Section 4.1: the dense layer before the classifier is replaced by a TT layer with a dense
bias; the pretrained weight, where there is one, is dropped.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from loretta_cli.errors import ConfigError
from loretta_cli.models.families import Head
from loretta_cli.presets import HeadKind
from loretta_cli.tt import ModeShape, TensorTrainLinear
from loretta_cli.tuners.saved_modules import spoken_dtype


def check_head(head: Head, kind: HeadKind, family: str) -> None:
    """Refuse a TT head where the family has no dense layer to replace.

    Raises:
        ConfigError: With the kinds that work.
    """
    if kind == "tt" and head.dense is None:
        raise ConfigError(
            f"adapter.head=tt replaces the dense layer before the classifier, and {family} has none.",
            hint="Use adapter.head=dense (train the model's own head) or adapter.head=frozen.",
        )


class TrainSettings(Protocol):
    """What is read of an adapter's config."""

    tt_rank: int | list[int] | None

    def mode_shape(self, in_features: int, out_features: int) -> ModeShape:
        """The modes of an ``in x out`` matrix."""


def install_tt_head(owner: nn.Module, name: str, settings: TrainSettings) -> None:
    """Replace the linear layer ``owner.name`` by a tensor train of the same size, with a bias of zero.

    Device, dtype and whether it trains are taken from the layer that is replaced.

    Raises:
        ConfigError: If the TT rank is missing, or is a list that does not fit the modes of the head.
    """
    dense = getattr(owner, name)
    if isinstance(dense, TensorTrainLinear):
        return
    if settings.tt_rank is None:
        raise ConfigError("A TT head needs a TT rank.")
    shape = settings.mode_shape(dense.in_features, dense.out_features)
    with torch.device(dense.weight.device):
        train = TensorTrainLinear(shape, settings.tt_rank, bias=True)
    setattr(owner, name, train.to(dense.weight.dtype).requires_grad_(dense.weight.requires_grad))


def make_heads_dense(model: nn.Module) -> None:
    """Replace every TT layer in ``model`` by the ordinary linear layer of the same map, in place."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, TensorTrainLinear):
                setattr(module, name, dense_form(child))


def dense_form(train: TensorTrainLinear) -> nn.Linear:
    """The ordinary linear layer of the same map, in the dtype that the model around it has."""
    dense = train.to_dense()
    return dense.to(spoken_dtype(train) or dense.weight.dtype)
