"""The matrices of rep as factors: two trains folded into the thinnest pair of the same product."""

from __future__ import annotations

import torch

from loretta_cli.tt import TensorTrain
from loretta_cli.tt.contraction import rows_of_each, stored_by_columns


class FactorTrain(TensorTrain):
    """A train that is called without input and gives the factors of its matrix.

    It is called, not read: hooks that bring offloaded cores into memory run on a call only.
    """

    def forward(self) -> tuple[torch.Tensor, ...]:
        """``(in, r)`` and ``(r, out)``, or the whole ``(in, out)`` where the modes are not aligned."""
        return self.factors() or (self.dense(),)


def fold(first: FactorTrain, second: FactorTrain, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Multiply the matrices of two trains into two factors that meet at the narrowest place.

    Args:
        first: The train A, ``(in, r)``.
        second: The train B, ``(r, out)``.
        scale: Multiplied into the second factor.

    Returns:
        ``(in, k)`` and ``(k, out)``; of several trains each, as many of both.
    """
    chain: list[torch.Tensor] = [*first(), *second()]
    # No `key=` here: torch.compile cannot trace it.
    widths = [matrix.shape[-2] for matrix in chain[1:]]
    waist = 1 + widths.index(min(widths))
    # Outwards from the waist: what is multiplied first has no side longer than a rank.
    left, right = chain[waist - 1], chain[waist] * scale
    for matrix in reversed(chain[: waist - 1]):
        left = matrix @ left
    for matrix in chain[waist + 1 :]:
        right = right @ matrix
    return stored_by_columns(left), right


def apply_factors(inputs: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """``inputs @ left @ right``: ``(..., in)`` -> ``(..., out)``.

    Args:
        inputs: Of several pairs of factors, those of the first pair come first.
        left: ``(in, k)`` or ``(pairs, in, k)``.
        right: ``(k, out)`` or ``(pairs, k, out)``.
    """
    if left.dim() == 2:
        return inputs @ left @ right
    outputs = rows_of_each(inputs, len(left)) @ left @ right
    return outputs.reshape(*inputs.shape[:-1], right.shape[-1])
