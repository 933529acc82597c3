"""TT ranks: the forms a user may give, and the parameter formula."""

from __future__ import annotations

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.tt import count_parameters, resolve_ranks


def test_one_number_is_the_rank_of_every_inner_bond() -> None:
    assert resolve_ranks((8, 8, 12, 8, 8), 5) == (1, 5, 5, 5, 5, 1)


def test_a_rank_above_what_a_bond_can_hold_is_kept_as_the_papers_count_it() -> None:
    assert resolve_ranks((2, 3, 2), 20) == (1, 20, 20, 1)


def test_a_list_may_hold_the_inner_ranks_or_all_of_them() -> None:
    assert resolve_ranks((4, 5, 6), [2, 3]) == (1, 2, 3, 1)
    assert resolve_ranks((4, 5, 6), [1, 2, 3, 1]) == (1, 2, 3, 1)


def test_a_single_mode_has_only_the_border_ranks() -> None:
    assert resolve_ranks((7,), 5) == (1, 1)


@pytest.mark.parametrize("ranks", [[2], [2, 3, 4], [2, 2, 3, 1], [1, 2, 3, 2], []])
def test_a_list_that_does_not_fit_the_modes_is_refused_with_what_would(ranks: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"expected one number, 2 inner ranks, or 4 ranks"):
        resolve_ranks((4, 5, 6), ranks)


@pytest.mark.parametrize("rank", [0, -1, [2, 0]])
def test_a_rank_below_one_is_refused(rank: int | list[int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        resolve_ranks((4, 5, 6), rank)


def test_the_count_is_the_sum_over_cores() -> None:
    assert count_parameters((4, 5, 6), (1, 2, 3, 1)) == 1 * 4 * 2 + 2 * 5 * 3 + 3 * 6 * 1
    assert count_parameters((7,), (1, 1)) == 7


def test_the_closed_form_of_the_paper_holds_for_one_rank() -> None:
    modes, rank = (16, 16, 16, 4, 4, 4), 5
    expected = rank * (16 + 4) + rank**2 * (16 + 16 + 4 + 4)
    assert count_parameters(modes, resolve_ranks(modes, rank)) == expected == 1100
