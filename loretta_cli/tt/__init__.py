"""The maths of tensor trains: mode shapes, ranks, cores, contraction, TT-SVD. Knows no model.

May import TensorLy, torch and :mod:`loretta_cli.errors`, nothing else of the project. Names load on first
use: shapes and ranks need no torch, and counting by formula asks for no more than those.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loretta_cli.tt.cores import check_cores, make_cores, tt_svd
    from loretta_cli.tt.layer import TensorTrain, TensorTrainLinear
    from loretta_cli.tt.ranks import count_parameters, resolve_ranks, spread_rank
    from loretta_cli.tt.shapes import ModeShape, balanced_modes, choose_mode_shape

__all__ = [
    "ModeShape",
    "TensorTrain",
    "TensorTrainLinear",
    "balanced_modes",
    "check_cores",
    "choose_mode_shape",
    "count_parameters",
    "make_cores",
    "resolve_ranks",
    "spread_rank",
    "tt_svd",
]

_HOMES = {
    "cores": ("check_cores", "make_cores", "tt_svd"),
    "layer": ("TensorTrain", "TensorTrainLinear"),
    "ranks": ("count_parameters", "resolve_ranks", "spread_rank"),
    "shapes": ("ModeShape", "balanced_modes", "choose_mode_shape"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
