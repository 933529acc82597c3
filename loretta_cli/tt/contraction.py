"""Contracting the cores of a train, in plain torch.

Several trains of one shape can be contracted at once: cores ``(trains, r, k, r')`` give matrices with the
same leading axis.

TensorLy reconstructs the same matrix (the tests hold the two equal) but only through a process-wide
choice of back end; ``forward`` must not depend on that, nor stop ``torch.compile``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def contract_left(cores: Sequence[torch.Tensor]) -> torch.Tensor:
    """Contract cores that begin with rank 1.

    Returns:
        ``(k_1 * ... * k_m, r_m)``, row-major in the modes; of several trains, one such matrix each.
    """
    first = cores[0]
    if first.dim() == 4:
        return _contract_several_left(cores)
    product = first.reshape(first.shape[1], first.shape[2])
    for core in cores[1:]:
        left, mode, right = core.shape
        product = product.mm(core.reshape(left, mode * right)).reshape(-1, right)
    return product


def contract_right(cores: Sequence[torch.Tensor]) -> torch.Tensor:
    """Contract cores that end with rank 1.

    Returns:
        ``(r_0, k_1 * ... * k_m)``, row-major in the modes; of several trains, one such matrix each.
    """
    last = cores[-1]
    if last.dim() == 4:
        return _contract_several_right(cores)
    product = last.reshape(last.shape[0], last.shape[1])
    for core in reversed(cores[:-1]):
        left, mode, right = core.shape
        product = core.reshape(left * mode, right).mm(product).reshape(left, -1)
    return product


def contract_dense(cores: Sequence[torch.Tensor], in_features: int, out_features: int) -> torch.Tensor:
    """The whole matrix of the train, ``(in, out)``; of several trains, one such matrix each."""
    product = contract_left(cores)
    return product.reshape(*product.shape[:-2], in_features, out_features)


def _contract_several_left(cores: Sequence[torch.Tensor]) -> torch.Tensor:
    product = cores[0].squeeze(1)
    for core in cores[1:]:
        count, left, mode, right = core.shape
        product = product.bmm(core.reshape(count, left, mode * right)).reshape(count, -1, right)
    return product


def _contract_several_right(cores: Sequence[torch.Tensor]) -> torch.Tensor:
    product = cores[-1].squeeze(3)
    for core in reversed(cores[:-1]):
        count, left, mode, right = core.shape
        product = core.reshape(count, left * mode, right).bmm(product).reshape(count, left, -1)
    return product


def rows_of_each(inputs: torch.Tensor, trains: int) -> torch.Tensor:
    """The rows that each of several trains is applied to.

    Args:
        inputs: ``(trains * batch, ..., in)``: what is the first train's comes first.
        trains: How many there are.

    Returns:
        ``(trains, rows, in)``.

    Raises:
        ValueError: If the inputs have no such axis.
    """
    if inputs.dim() < 2 or inputs.shape[0] % trains:
        raise ValueError(
            f"inputs of shape {tuple(inputs.shape)} have not as many rows for each of {trains} tensor trains"
        )
    return inputs.reshape(trains, -1, inputs.shape[-1])


def stored_by_columns(matrix: torch.Tensor) -> torch.Tensor:
    """The same matrix, ``(in, r)``, with each column in one piece of memory.

    For ranks up to 8 a CPU multiplies many rows by a matrix this thin two to three times faster in this
    layout, gradient included; from 16 on it makes no difference (``python -m benchmarks.step_time
    --contraction``). LoRA's A is laid out so, too.
    """
    return matrix.mT.contiguous().mT


def two_factors_are_cheaper(bond_rank: int, in_features: int, out_features: int) -> bool:
    """Whether ``(x L) R`` needs fewer multiplications per token than ``x W`` for the dense ``W``.

    Measured, the two break even where this count says, so it has no further factor; only with few tokens at
    width 4096 are factors still the faster ones there (``python -m benchmarks.step_time --contraction``).
    """
    return bond_rank * (in_features + out_features) < in_features * out_features
