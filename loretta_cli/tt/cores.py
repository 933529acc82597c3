"""The cores of a tensor train: making them, checking them, TT-SVD. TensorLy does the checking.

Initialisation keeps the variance of what flows through: a core over an *input* mode, which sums over
its left rank and its mode, has entries of variance ``1 / (r_{i-1} k_i)``; a core over an *output* mode
sums over its left rank only and has ``1 / r_{i-1}``. The matrix of the train then has entries of
variance ``1 / in``, and every partial product stays of order one. (The papers draw all cores alike for
a variance of ``1 / (in + out)``; with a last core of zero that choice would only rescale the
learning rate of that core.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from loretta_cli.tt.shapes import ModeShape


def make_cores(
    shape: ModeShape, ranks: Sequence[int], *, zero_last: bool, generator: torch.Generator | None = None
) -> list[torch.Tensor]:
    """Random cores of a train, fp32 on the CPU (or on the default device, as on ``meta``).

    Args:
        shape: The modes.
        ranks: All ``d + 1`` ranks.
        zero_last: Make the last core zero, so that the matrix of the train is exactly zero.
        generator: Source of the random numbers; torch's default one if None.

    Returns:
        ``d`` tensors of shape ``(r_{i-1}, k_i, r_i)``.
    """
    cores = []
    seen = 1
    for mode, left, right in zip(shape.modes, ranks[:-1], ranks[1:], strict=True):
        seen *= mode
        summed = left * mode if seen <= shape.in_features else left
        cores.append(torch.randn(left, mode, right, generator=generator) * summed**-0.5)
    if zero_last:
        cores[-1] = torch.zeros_like(cores[-1])
    check_cores(cores)
    return cores


def check_cores(cores: Sequence[torch.Tensor]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Validate that the tensors form a tensor train.

    Returns:
        The mode sizes and the ranks, as TensorLy reads them off the cores.

    Raises:
        ValueError: From TensorLy, if a core is not of order 3, neighbours do not match, or the border
            ranks are not 1.
    """
    import tensorly as tl
    from tensorly.tt_tensor import TTTensor

    with tl.backend_context("pytorch"):
        train = TTTensor([core.detach() for core in cores])
    return tuple(int(mode) for mode in train.shape), tuple(int(rank) for rank in train.rank)


def tt_svd(matrix: torch.Tensor, shape: ModeShape, ranks: Sequence[int]) -> list[torch.Tensor]:
    """Cores of the train nearest to a matrix at the given ranks, by TT-SVD (TensorLy).

    Args:
        matrix: ``(in, out)``.
        shape: The modes.
        ranks: All ``d + 1`` ranks; a rank above what its bond can hold is cut by the decomposition.

    Returns:
        Cores in the dtype of ``matrix``; computed in fp64.
    """
    import tensorly as tl
    from tensorly.decomposition import tensor_train

    tensor = matrix.detach().to(torch.float64).reshape(shape.modes)
    with tl.backend_context("pytorch"):
        train = tensor_train(tensor, rank=list(ranks))
    return [core.to(matrix.dtype) for core in train.factors]
