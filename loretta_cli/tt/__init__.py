"""The maths of tensor trains: mode shapes, ranks, cores, contraction, TT-SVD. Knows no model.

May import TensorLy, torch and :mod:`loretta_cli.errors`, nothing else of the project.
"""

from loretta_cli.tt.cores import check_cores, make_cores, tt_svd
from loretta_cli.tt.layer import TensorTrain, TensorTrainLinear
from loretta_cli.tt.ranks import count_parameters, resolve_ranks
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
    "tt_svd",
]
