"""TT ranks: one number or a list, validated by TensorLy, and the parameter formula.

Imports TensorLy inside a function only, so that counting by formula stays light.
"""

from __future__ import annotations

from collections.abc import Sequence

from loretta_cli.errors import ConfigError


def resolve_ranks(modes: Sequence[int], tt_rank: int | Sequence[int]) -> tuple[int, ...]:
    """:func:`spread_rank`, validated by TensorLy: what a train is built with."""
    return _validated_by_tensorly(modes, spread_rank(modes, tt_rank))


def spread_rank(modes: Sequence[int], tt_rank: int | Sequence[int]) -> tuple[int, ...]:
    """All ranks ``(r_0, ..., r_d)`` of a train over ``modes``, with ``r_0 = r_d = 1``.

    Args:
        modes: Mode sizes ``(k_1, ..., k_d)``.
        tt_rank: One inner rank for all bonds, or a list: the ``d - 1`` inner ranks, or all ``d + 1``.

    Returns:
        The ``d + 1`` ranks. A number is used as it is, also where a bond could not use it fully: the
        papers count that way (LoRETTA, Table 6).

    Raises:
        ConfigError: If a rank is below 1, or the list does not fit the number of modes.
    """
    order = len(modes)
    if isinstance(tt_rank, int):
        ranks = (1, *[tt_rank] * (order - 1), 1)
    elif len(tt_rank) == order - 1:
        ranks = (1, *tt_rank, 1)
    else:
        ranks = tuple(tt_rank)
    if len(ranks) != order + 1 or ranks[0] != 1 or ranks[-1] != 1:
        raise ConfigError(
            f"The TT rank {list(ranks)} does not fit the {order} modes {list(modes)}: expected one number, "
            f"{order - 1} inner ranks, or {order + 1} ranks that begin and end with 1."
        )
    if any(rank < 1 for rank in ranks):
        raise ConfigError(f"A TT rank must be at least 1, found {list(ranks)}.")
    return ranks


def _validated_by_tensorly(modes: Sequence[int], ranks: tuple[int, ...]) -> tuple[int, ...]:
    from tensorly.tt_tensor import validate_tt_rank

    return tuple(int(rank) for rank in validate_tt_rank(tuple(modes), list(ranks)))


def count_parameters(modes: Sequence[int], ranks: Sequence[int]) -> int:
    """The number of entries of all cores: ``sum_i r_{i-1} k_i r_i``."""
    return sum(left * mode * right for left, mode, right in zip(ranks[:-1], modes, ranks[1:], strict=True))
