"""Making cores, checking them, and TT-SVD."""

from __future__ import annotations

import itertools

import pytest
import torch

from loretta_cli.tt import ModeShape, check_cores, choose_mode_shape, make_cores, resolve_ranks, tt_svd
from loretta_cli.tt.contraction import contract_dense

SHAPE = ModeShape(12, 20, (3, 4, 5, 4))


def dense(cores: list[torch.Tensor], shape: ModeShape = SHAPE) -> torch.Tensor:
    return contract_dense(cores, shape.in_features, shape.out_features)


def random_matrix(seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(12, 20, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_cores_have_the_shapes_of_modes_and_ranks() -> None:
    cores = make_cores(SHAPE, (1, 2, 3, 4, 1), zero_last=False)
    assert [tuple(core.shape) for core in cores] == [(1, 3, 2), (2, 4, 3), (3, 5, 4), (4, 4, 1)]
    assert {core.dtype for core in cores} == {torch.float32}


def test_a_last_core_of_zero_makes_the_matrix_zero_and_leaves_the_others_random() -> None:
    cores = make_cores(SHAPE, (1, 2, 3, 4, 1), zero_last=True)
    assert not cores[-1].any()
    assert all(core.ne(0).all() for core in cores[:-1])
    assert not dense(cores).any()


def test_the_same_generator_state_gives_the_same_cores() -> None:
    first, second = (
        make_cores(SHAPE, (1, 2, 2, 2, 1), zero_last=False, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    )
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize(("inputs", "outputs", "rank"), [(48, 64, 5), (64, 48, 3), (12, 20, 1)])
def test_entries_of_a_random_train_have_variance_one_over_inputs(
    inputs: int, outputs: int, rank: int
) -> None:
    shape = choose_mode_shape(inputs, outputs)
    generator = torch.Generator().manual_seed(0)
    ranks = resolve_ranks(shape.modes, rank)
    draws = [
        dense(make_cores(shape, ranks, zero_last=False, generator=generator), shape).square().mean()
        for _ in range(1500)
    ]
    assert torch.stack(draws).mean().item() * inputs == pytest.approx(1.0, rel=0.15)


def test_cores_are_made_on_meta_without_numbers() -> None:
    with torch.device("meta"):
        cores = make_cores(SHAPE, (1, 2, 2, 2, 1), zero_last=True)
    assert {core.device.type for core in cores} == {"meta"}


def test_checking_reads_modes_and_ranks_off_the_cores() -> None:
    cores = make_cores(SHAPE, (1, 2, 3, 4, 1), zero_last=False)
    assert check_cores(cores) == ((3, 4, 5, 4), (1, 2, 3, 4, 1))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([(1, 3, 2), (3, 4, 1)], "Consecutive factors"),
        ([(2, 3, 2), (2, 4, 1)], "Boundary conditions"),
        ([(1, 3, 2), (2, 4, 2)], "Boundary conditions"),
        ([(1, 3, 2), (2, 4)], "expected 3, got 2"),
    ],
    ids=["neighbours", "first rank", "last rank", "order"],
)
def test_tensors_that_form_no_train_are_refused(sizes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_cores([torch.zeros(size) for size in sizes])


def test_checking_leaves_the_back_end_of_tensorly_as_it_was() -> None:
    import tensorly

    before = tensorly.get_backend()
    check_cores(make_cores(SHAPE, (1, 2, 2, 2, 1), zero_last=False))
    tt_svd(random_matrix(), SHAPE, (1, 2, 2, 2, 1))
    assert tensorly.get_backend() == before


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_tt_svd_is_exact_at_full_rank_and_keeps_the_dtype(dtype: torch.dtype, tolerance: float) -> None:
    matrix = random_matrix(dtype=dtype)
    cores = tt_svd(matrix, SHAPE, (1, 3, 12, 4, 1))
    assert {core.dtype for core in cores} == {dtype}
    torch.testing.assert_close(dense(cores), matrix, rtol=0, atol=tolerance)


def test_tt_svd_cuts_a_rank_that_a_bond_cannot_hold() -> None:
    cores = tt_svd(random_matrix(), SHAPE, (1, 50, 50, 50, 1))
    assert check_cores(cores)[1] == (1, 3, 12, 4, 1)
    torch.testing.assert_close(dense(cores), random_matrix(), rtol=0, atol=1e-12)


def test_tt_svd_recovers_a_train_at_its_own_rank() -> None:
    matrix = dense([core.double() for core in make_cores(SHAPE, (1, 2, 3, 2, 1), zero_last=False)])
    torch.testing.assert_close(dense(tt_svd(matrix, SHAPE, (1, 2, 3, 2, 1))), matrix, rtol=0, atol=1e-12)


def test_the_error_of_tt_svd_falls_with_every_rank() -> None:
    matrix = random_matrix()
    errors = [
        (dense(tt_svd(matrix, SHAPE, resolve_ranks(SHAPE.modes, rank))) - matrix).norm().item()
        for rank in range(1, 13)
    ]
    assert all(later < earlier for earlier, later in itertools.pairwise(errors))
    assert errors[-1] < 1e-12


def test_tt_svd_of_two_modes_is_the_best_approximation_of_a_matrix() -> None:
    matrix = random_matrix()
    shape = ModeShape(12, 20, (12, 20))
    values = torch.linalg.svdvals(matrix)
    for rank in (1, 4, 9):
        error = (dense(tt_svd(matrix, shape, (1, rank, 1)), shape) - matrix).norm()
        assert error.item() == pytest.approx(values[rank:].norm().item(), rel=1e-10)
