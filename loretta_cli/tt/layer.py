"""A tensor train as a torch module: flat core parameters, its factors, and a linear layer made of it.

The cores are direct parameters named ``core0``, ``core1``, ... (not a ``ParameterList``): PEFT finds the
name of an adapter in a state-dict key only in its last or last but one place.

Where every core has one more axis in front, ``(trains, r, k, r')``, as ``torch.func.functional_call`` may put
them there for the time of a call, each train is applied to its own part of the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from loretta_cli.tt.contraction import (
    contract_dense,
    contract_left,
    contract_right,
    rows_of_each,
    stored_by_columns,
    two_factors_are_cheaper,
)
from loretta_cli.tt.cores import make_cores
from loretta_cli.tt.ranks import resolve_ranks
from loretta_cli.tt.shapes import ModeShape


class TensorTrain(nn.Module):
    """The cores of an ``in x out`` matrix.

    Args:
        shape: The modes.
        tt_rank: One inner rank, or a list of them.
        zero_last: Start with a last core of zero, so that the matrix is zero.
    """

    def __init__(self, shape: ModeShape, tt_rank: int | Sequence[int], *, zero_last: bool = False) -> None:
        super().__init__()
        self.shape = shape
        self._boundary = shape.boundary
        self.ranks = resolve_ranks(shape.modes, tt_rank)
        for index, core in enumerate(make_cores(shape, self.ranks, zero_last=zero_last)):
            self.register_parameter(f"core{index}", nn.Parameter(core))

    @property
    def cores(self) -> list[torch.Tensor]:
        """The cores, ``(r_{i-1}, k_i, r_i)`` each, first to last."""
        return [getattr(self, f"core{index}") for index in range(len(self.shape.modes))]

    @property
    def bond_rank(self) -> int | None:
        """Rank of the bond between input and output cores; None where a core carries both."""
        return None if self._boundary is None else self.ranks[self._boundary]

    def factors(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """``(in, r)`` and ``(r, out)`` whose product is the matrix; None for a shape that is not aligned."""
        if self._boundary is None:
            return None
        cores = self.cores
        return contract_left(cores[: self._boundary]), contract_right(cores[self._boundary :])

    def dense(self) -> torch.Tensor:
        """The matrix, ``(in, out)``."""
        pair = self.factors()
        if pair is not None:
            return pair[0] @ pair[1]
        return contract_dense(self.cores, self.shape.in_features, self.shape.out_features)

    def apply_to(self, inputs: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """``inputs @ W (+ bias)``: ``(..., in)`` -> ``(..., out)``, by the cheaper of two ways."""
        pair = self.factors()
        takes_two = pair is not None and two_factors_are_cheaper(
            pair[0].shape[-1], self.shape.in_features, self.shape.out_features
        )
        matrix = self.dense() if pair is None else pair[1] if takes_two else pair[0] @ pair[1]
        is_one = matrix.dim() == 2
        rows = inputs.reshape(-1, self.shape.in_features) if is_one else rows_of_each(inputs, len(matrix))
        if pair is not None and takes_two:
            rows = rows @ stored_by_columns(pair[0])
        if bias is None:
            outputs = rows @ matrix
        elif is_one:
            outputs = torch.addmm(bias, rows, matrix)
        else:
            outputs = torch.baddbmm(bias[:, None], rows, matrix)
        return outputs.reshape(*inputs.shape[:-1], self.shape.out_features)

    def extra_repr(self) -> str:
        """Modes and ranks, for ``print(model)``."""
        return f"modes={self.shape}, ranks={list(self.ranks)}"


class TensorTrainLinear(TensorTrain):
    """``x W + b`` with ``W`` a tensor train and an optional dense bias (LoRETTA, Equation 3).

    Args:
        shape: The modes.
        tt_rank: One inner rank, or a list of them.
        bias: Learn a bias of ``out`` numbers; it starts at zero.
        zero_last: Start with a matrix of zero.
    """

    def __init__(
        self, shape: ModeShape, tt_rank: int | Sequence[int], *, bias: bool, zero_last: bool = False
    ) -> None:
        super().__init__(shape, tt_rank, zero_last=zero_last)
        self.bias = nn.Parameter(torch.zeros(shape.out_features)) if bias else None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """``(..., in)`` -> ``(..., out)``."""
        return self.apply_to(inputs, self.bias)

    def to_dense(self) -> nn.Linear:
        """The same map as an ordinary ``nn.Linear``."""
        weight = self.dense().detach().T.contiguous()
        linear = nn.Linear(
            self.shape.in_features,
            self.shape.out_features,
            bias=self.bias is not None,
            device=weight.device,
            dtype=weight.dtype,
        )
        linear.weight.data = weight
        if self.bias is not None:
            linear.bias.data = self.bias.detach().clone()
        return linear
