"""The tensor train nearest to a product of two thin matrices, found without forming the product.

The matrix ``left @ right`` is read as one tensor with the modes of both sides. Truncating the two factors one
by one would keep what is large in one of them, which the other may not use; here only the product counts.
TT-SVD of one side, the other being orthonormal, is the start. Alternating least squares then improve it core
by core: each becomes the best one beside all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

from loretta_cli.tt.contraction import contract_left
from loretta_cli.tt.cores import tt_svd
from loretta_cli.tt.ranks import spread_rank
from loretta_cli.tt.shapes import ModeShape

MOST_ROUNDS = 30
SMALLEST_GAIN = 1e-4
"""A round that lessens the squared error by a smaller share is the last one."""
_NOTHING = 1e-24
"""A squared error below this share of the whole is rounding."""


def nearest_factors(
    left: torch.Tensor, right: torch.Tensor, in_modes: Sequence[int], out_modes: Sequence[int], rank: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two factors of a tensor train near to ``left @ right``.

    Args:
        left: ``(in, r)``.
        right: ``(r, out)``.
        in_modes: Modes of the rows; their product is ``in``.
        out_modes: Modes of the columns; their product is ``out``.
        rank: The most that any bond may have, that between rows and columns included.

    Returns:
        ``(in, k)`` and ``(k, out)`` in fp64, with ``k`` at most ``r`` and ``rank``: the first is a train over
        ``in_modes`` with ``k`` as its open end, the second one over ``out_modes`` with ``k`` as its open
        beginning. The singular values of the product are split evenly between them.
    """
    left, right = left.detach().double(), right.detach().double()
    basis, triangle = torch.linalg.qr(right.T)
    target = left @ triangle.T  # left @ right = target @ basis.T, and the basis is orthonormal
    whole = float(target.square().sum())
    first = _tt_svd(target, in_modes, rank)
    rows = contract_left(first)
    second = _tt_svd(_mirrored(basis @ (target.T @ rows), out_modes), out_modes[::-1], rank)
    columns = _mirrored(contract_left(second), out_modes[::-1])
    error = float("inf")
    for _ in range(MOST_ROUNDS):
        first = _improved(target @ (basis.T @ columns), first)
        rows = contract_left(first)
        second = _improved(_mirrored(basis @ (target.T @ rows), out_modes), second)
        columns = _mirrored(contract_left(second), out_modes[::-1])
        middle = rows.T @ target @ (basis.T @ columns)
        previous, error = error, whole - float(middle.square().sum())
        if previous - error <= SMALLEST_GAIN * error or error <= _NOTHING * whole:
            break
    before, values, after = torch.linalg.svd(middle, full_matrices=False)
    root = values.sqrt()
    return rows @ before * root, root[:, None] * after @ columns.T


def relative_error(
    left: torch.Tensor, right: torch.Tensor, other_left: torch.Tensor, other_right: torch.Tensor
) -> float:
    """``‖left @ right - other_left @ other_right‖ / ‖left @ right‖`` in Frobenius norms.

    Computed in fp64 from thin triangles, so that no product is formed; 0 where both products are zero.

    Args:
        left: ``(in, r)``.
        right: ``(r, out)``.
        other_left: ``(in, k)``.
        other_right: ``(k, out)``.
    """
    one, two = left.detach().double(), right.detach().double()
    three, four = other_left.detach().double(), other_right.detach().double()
    difference = _norm(torch.cat([one, -three], dim=1), torch.cat([two, four], dim=0))
    whole = _norm(one, two)
    if whole == 0:
        return 0.0 if difference == 0 else float("inf")
    return difference / whole


def useful_ranks(shape: ModeShape) -> tuple[int, ...]:
    """The highest rank that each inner bond of a train of these modes can use."""
    cuts = range(1, len(shape.modes))
    return tuple(min(prod(shape.modes[:cut]), prod(shape.modes[cut:])) for cut in cuts)


def _tt_svd(matrix: torch.Tensor, modes: Sequence[int], rank: int) -> list[torch.Tensor]:
    """Orthonormal cores over the rows of a matrix ``(prod(modes), w)``, by TT-SVD; what they span is kept."""
    shape = ModeShape(len(matrix), matrix.shape[1], (*modes, matrix.shape[1]))
    return tt_svd(matrix, shape, spread_rank(shape.modes, rank))[:-1]


def _improved(target: torch.Tensor, cores: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """One sweep of least squares over the cores of a train with an open end.

    Args:
        target: ``(prod(modes), w)``, what the train times some ``(r, w)`` is to be near to.
        cores: Orthonormal, first to last.

    Returns:
        Orthonormal cores that span more of the target, or as much.
    """
    cores, width = list(cores), target.shape[1]
    weights = contract_left(cores).T @ target
    cores[-1] = cores[-1] @ weights
    # From the end: what stands right of a core becomes orthonormal, (rank, all entries to the right).
    behind = [torch.eye(width, dtype=target.dtype)]
    for place in range(len(cores) - 1, 0, -1):
        left, mode, right = cores[place].shape
        basis, triangle = torch.linalg.qr(cores[place].reshape(left, mode * right).T)
        cores[place - 1] = cores[place - 1] @ triangle.T
        inner = basis.T.reshape(-1, right) @ behind[-1]
        behind.append(inner.reshape(basis.shape[1], -1))
    seen, found = target.reshape(1, -1), []
    for core, rest in zip(cores, reversed(behind), strict=True):
        unfolded = seen.reshape(len(seen) * core.shape[1], -1)
        basis, _ = torch.linalg.qr(unfolded @ rest.T)
        found.append(basis.reshape(len(seen), core.shape[1], -1))
        seen = basis.T @ unfolded
    return found


def _mirrored(matrix: torch.Tensor, modes: Sequence[int]) -> torch.Tensor:
    """The rows of ``(prod(modes), w)`` in the order of the reversed modes."""
    width = matrix.shape[1]
    axes = (*reversed(range(len(modes))), len(modes))
    return matrix.reshape(*modes, width).permute(axes).reshape(-1, width)


def _norm(left: torch.Tensor, right: torch.Tensor) -> float:
    return float((torch.linalg.qr(left).R @ torch.linalg.qr(right.T).R.T).norm())
