"""Trainable parameters of an adapter, from the sizes of the linear layers that a tiny model really has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from loretta_cli.models.families import Family, family_of
from tests.tiny_models import HIDDEN, TASK_TYPES, tiny_model

FACTORS = {
    8: (8,),
    16: (16,),
    24: (6, 4),
    32: (8, 4),
    48: (8, 6),
    64: (8, 8),
    72: (9, 8),
    96: (12, 8),
    144: (12, 12),
    192: (8, 6, 4),
}
"""Modes of a size, the largest first, as they stand on the input side; reversed on the output side."""
DENSE = HIDDEN * HIDDEN + HIDDEN
"""A dense layer of a head with its bias."""


def cores(modes: tuple[int, ...], rank: int) -> int:
    """Entries of a train of one inner rank: ``r (k_1 + k_d) + r^2 (k_2 + ... )``."""
    return rank * (modes[0] + modes[-1]) + rank**2 * sum(modes[1:-1])


def matrix(in_features: int, out_features: int, rank: int) -> int:
    """Entries of the train of an ``in x out`` matrix."""
    return cores((*FACTORS[in_features], *FACTORS[out_features][::-1]), rank)


def count_by_layers(name: str, method: str, preset: str) -> int:
    """Trainable parameters of a tiny model of a family that the papers do not have.

    Args:
        name: Of the tiny model.
        method: ``adp`` or ``rep``.
        preset: ``paper`` or ``standard``.
    """
    model = tiny_model(name)
    family = family_of(model.config.model_type)
    assert family is not None
    paper = preset == "paper"
    r, rank = (16, 8) if paper and family.form == "prompt" and method == "rep" else (8, 5)
    if method == "adp":
        adapters = _adp(model, family)
    else:
        sizes = sizes_of(model, family.rep_targets)
        adapters = sum(matrix(rows, r, rank) + matrix(r, columns, rank) for rows, columns in sizes)
    return adapters + (norms_of(model) if paper else 0) + _head(name, family, rank if paper else None)


def _adp(model: Any, family: Family) -> int:
    sites = family.sites[family.paper_placement]
    widths = [rows for rows, _ in sizes_of(model, sites.input)]
    widths += [columns for _, columns in sizes_of(model, sites.output, sites.exclude)]
    return sum(matrix(width, 64, 5) + matrix(64, width, 5) + 64 + width for width in widths)


def _head(name: str, family: Family, train_rank: int | None) -> int:
    """The output layer, and the dense layer before it: a train, or dense unless it is a pooler."""
    if TASK_TYPES[name] != "SEQ_CLS":
        return 0
    layer = tiny_model(name).get_submodule(family.head.output)
    output = sum(parameter.numel() for parameter in layer.parameters())
    if family.head.dense is None:
        return output
    if train_rank is not None:
        return output + matrix(HIDDEN, HIDDEN, train_rank) + HIDDEN
    return output + (0 if family.head.dense.startswith("pooler.") else DENSE)


def sizes_of(model: Any, suffixes: Iterable[str], exclude: Iterable[str] = ()) -> list[tuple[int, int]]:
    """``(in, out)`` of the linear layers whose names end so."""
    wanted, unwanted = (tuple(f".{name}" for name in names) for names in (suffixes, exclude))
    return [
        (module.nx, module.nf) if isinstance(module, Conv1D) else (module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D))
        and f".{name}".endswith(wanted)
        and not f".{name}".endswith(unwanted)
    ]


def norms_of(model: Any) -> int:
    """Numbers of all norms of the model."""
    return sum(
        parameter.numel()
        for module in model.modules()
        if "Norm" in type(module).__name__
        for parameter in module.parameters(recurse=False)
    )
