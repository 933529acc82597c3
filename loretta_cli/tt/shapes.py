"""Mode shapes: how the two sides of a matrix are factored into the modes of a tensor train.

A matrix of ``in x out`` is flattened row-major and read as a tensor of modes ``(k_1, ..., k_d)`` with
``prod(k) = in * out`` (LoRETTA, Section 3.1). Where the first modes multiply to ``in`` the border
between input and output indices lies between two cores: the shape is *aligned*, and the train splits
there into a left factor (in, r) and a right factor (r, out). Imports only :mod:`tt.published`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from loretta_cli.errors import ConfigError
from loretta_cli.tt.published import published_modes

TYPICAL_MODE_SIZE = 8
"""Modes near 8 keep a train short and its cores small; the paper's own shapes lie between 4 and 16."""


@dataclass(frozen=True, slots=True)
class ModeShape:
    """The modes of one matrix.

    Args:
        in_features: Rows of the matrix.
        out_features: Columns of the matrix.
        modes: Mode sizes ``(k_1, ..., k_d)``, their product being ``in_features * out_features``.
    """

    in_features: int
    out_features: int
    modes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.modes or any(mode < 1 for mode in self.modes):
            raise ConfigError(f"Mode sizes must be positive, found {list(self.modes)}.")
        found, expected = math.prod(self.modes), self.in_features * self.out_features
        if found != expected:
            raise ConfigError(
                f"The mode sizes {list(self.modes)} multiply to {found}, but a "
                f"{self.in_features} x {self.out_features} matrix has {expected} entries.",
                hint="Change adapter.mode_shapes, or leave it out to have the modes chosen.",
            )

    @property
    def boundary(self) -> int | None:
        """Number of leading cores that carry the input indices, or None if a core carries both."""
        product = 1
        for position, mode in enumerate(self.modes):
            if position > 0 and product == self.in_features:
                return position
            product *= mode
        return None

    def __str__(self) -> str:
        cut = self.boundary
        if cut is None:
            return "·".join(map(str, self.modes))
        return "·".join(map(str, self.modes[:cut])) + " | " + "·".join(map(str, self.modes[cut:]))


def choose_mode_shape(in_features: int, out_features: int) -> ModeShape:
    """The mode shape of an ``in x out`` matrix of any size.

    The papers' shape where they print one, otherwise :func:`balanced_modes` of each side, the largest
    mode outermost (the outer cores are the cheap ones: they have one rank of 1).
    """
    modes = published_modes(in_features, out_features)
    if modes is None:
        modes = balanced_modes(in_features)[::-1] + balanced_modes(out_features)
    return ModeShape(in_features, out_features, modes)


@cache
def balanced_modes(size: int) -> tuple[int, ...]:
    """Factor ``size`` into about ``log_8(size)`` factors as equal as its primes allow, ascending.

    Among all factorisations into at most that many factors, each at least 2, the one with the
    smallest sum is taken: the parameters of a train grow with the sum of its modes. A large prime
    cannot be split and stays one large mode: 11008 = 2^8 * 43 gives (4, 8, 8, 43), the prime 1009 gives
    (1009,). Such a mode costs parameters and is otherwise correct.

    Args:
        size: The number to factor, at least 1.

    Returns:
        Factors in ascending order; ``(1,)`` for 1.
    """
    if size < 1:
        raise ConfigError(f"A matrix side must be at least 1, found {size}.")
    if size == 1:
        return (1,)
    count = max(1, round(math.log(size) / math.log(TYPICAL_MODE_SIZE)))
    return min(_factorisations(size, count, 2), key=lambda factors: (sum(factors), len(factors), factors))


def _factorisations(size: int, count: int, smallest: int) -> list[tuple[int, ...]]:
    """All ascending factorisations of ``size`` into 1 to ``count`` factors, each >= ``smallest``."""
    found: list[tuple[int, ...]] = [(size,)]
    if count > 1:
        for factor in range(smallest, math.isqrt(size) + 1):
            if size % factor == 0:
                found += [(factor, *rest) for rest in _factorisations(size // factor, count - 1, factor)]
    return found
