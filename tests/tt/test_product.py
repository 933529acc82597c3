"""The train nearest to a product, against what numpy computes of the whole matrix."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch

from loretta_cli.tt import ModeShape, choose_mode_shape, spread_rank, tt_svd
from loretta_cli.tt.contraction import contract_dense
from loretta_cli.tt.product import nearest_factors, relative_error, useful_ranks

IN, OUT = (3, 4, 2), (5, 2, 3)


def factors(rank: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(prod(IN), rank, generator=generator, dtype=torch.float64)
    right = torch.randn(rank, prod(OUT), generator=generator, dtype=torch.float64)
    # The columns differ in size, and the factors' own singular values say nothing of the product's.
    sizes = torch.tensor([9.0, 3.0, 1.0, 0.3], dtype=torch.float64)[:rank]
    return left * sizes, right / sizes.sqrt()[:, None]


def loss(product: torch.Tensor) -> float:
    """Its error relative to the product of the factors, by numpy."""
    first, second = factors()
    exact = (first @ second).numpy()
    return float(np.linalg.norm(exact - product.numpy()) / np.linalg.norm(exact))


def train_ranks(matrix: torch.Tensor, modes: tuple[int, ...]) -> list[int]:
    """The ranks of all unfoldings."""
    cuts = range(1, len(modes))
    return [int(np.linalg.matrix_rank(matrix.numpy().reshape(prod(modes[:cut]), -1))) for cut in cuts]


@pytest.mark.parametrize("rank", [12, 50])
def test_at_full_rank_the_product_is_exact(rank: int) -> None:
    left, right = factors()

    first, second = nearest_factors(left, right, IN, OUT, rank)

    torch.testing.assert_close(first @ second, left @ right, rtol=0, atol=1e-12)
    assert first.shape[1] == 4


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 6])
def test_no_bond_of_the_product_or_of_a_factor_is_above_the_rank(rank: int) -> None:
    first, second = nearest_factors(*factors(), IN, OUT, rank)
    width = first.shape[1]

    assert width == min(rank, 4)
    assert max(train_ranks(first @ second, (*IN, *OUT))) <= rank
    assert max(train_ranks(first, (*IN, width))) <= rank
    assert max(train_ranks(second, (width, *OUT))) <= rank


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 6])
def test_it_loses_no_more_than_tt_svd_of_the_whole_matrix_and_than_the_factors_one_by_one(rank: int) -> None:
    left, right = factors()
    first, second = nearest_factors(left, right, IN, OUT, rank)
    found = loss(first @ second)

    whole = ModeShape(prod(IN), prod(OUT), (*IN, *OUT))
    dense = contract_dense(tt_svd(left @ right, whole, spread_rank(whole.modes, rank)), prod(IN), prod(OUT))
    apart = []
    for matrix, modes in ((left, (*IN, 4)), (right, (4, *OUT))):
        shape = ModeShape(len(matrix), matrix.shape[1], modes)
        apart.append(contract_dense(tt_svd(matrix, shape, spread_rank(shape.modes, rank)), *matrix.shape))

    assert found <= loss(dense) + 1e-12
    assert found < loss(apart[0] @ apart[1])


def test_with_one_mode_a_side_it_is_the_truncated_singular_value_decomposition() -> None:
    left, right = factors()
    before, values, after = np.linalg.svd((left @ right).numpy())

    first, second = nearest_factors(left, right, (prod(IN),), (prod(OUT),), 2)

    best = before[:, :2] * values[:2] @ after[:2]
    np.testing.assert_allclose((first @ second).numpy(), best, atol=1e-10)


def test_the_singular_values_are_split_evenly() -> None:
    first, second = nearest_factors(*factors(), IN, OUT, 3)

    gram = first.T @ first
    torch.testing.assert_close(gram, second @ second.T, rtol=0, atol=1e-10)
    torch.testing.assert_close(gram, torch.diag(torch.diag(gram)), rtol=0, atol=1e-10)
    assert torch.diag(gram).tolist() == sorted(torch.diag(gram).tolist(), reverse=True)


def test_the_scales_of_the_two_factors_do_not_matter() -> None:
    left, right = factors()

    one = nearest_factors(left, right, IN, OUT, 2)
    other = nearest_factors(left * 1e6, right * 1e-6, IN, OUT, 2)

    torch.testing.assert_close(one[0] @ one[1], other[0] @ other[1], rtol=0, atol=1e-9)


def test_nothing_stays_nothing() -> None:
    left, right = factors()

    first, second = nearest_factors(left, torch.zeros_like(right), IN, OUT, 2)

    assert not (first @ second).any()
    assert relative_error(left, torch.zeros_like(right), first, second) == 0


def test_the_error_is_that_of_the_dense_matrices() -> None:
    left, right = factors()
    first, second = nearest_factors(left, right, IN, OUT, 2)

    assert relative_error(left, right, first, second) == pytest.approx(loss(first @ second), rel=1e-12)
    assert relative_error(left, right, left, right) < 1e-14
    assert relative_error(left, right, first, 0 * second) == pytest.approx(1)
    assert relative_error(left, 0 * right, first, second) == float("inf")


def test_a_bond_can_use_as_much_as_the_smaller_of_its_sides() -> None:
    assert useful_ranks(ModeShape(24, 30, (*IN, *OUT))) == (3, 12, 24, 6, 3)
    assert max(useful_ranks(choose_mode_shape(384, 8))) == 48
