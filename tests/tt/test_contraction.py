"""The contraction against TensorLy and against plain indices, values and gradients."""

from __future__ import annotations

import pytest
import tensorly
import torch

from loretta_cli.tt import ModeShape, choose_mode_shape, make_cores, resolve_ranks
from loretta_cli.tt.contraction import (
    contract_dense,
    contract_left,
    contract_right,
    rows_of_each,
    stored_by_columns,
    two_factors_are_cheaper,
)

SHAPES = [
    choose_mode_shape(48, 64),
    choose_mode_shape(768, 8),
    choose_mode_shape(16, 1024),
    choose_mode_shape(1, 9),
    ModeShape(6, 6, (4, 9)),
    ModeShape(5, 7, (35,)),
]


def double_cores(shape: ModeShape, rank: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    cores = make_cores(shape, resolve_ranks(shape.modes, rank), zero_last=False, generator=generator)
    return [core.double().requires_grad_() for core in cores]


def by_tensorly(cores: list[torch.Tensor], shape: ModeShape) -> torch.Tensor:
    with tensorly.backend_context("pytorch"):
        full: torch.Tensor = tensorly.tt_to_tensor(cores)
    return full.reshape(shape.in_features, shape.out_features)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_dense_matrix_is_the_one_tensorly_reconstructs(shape: ModeShape) -> None:
    cores = double_cores(shape)
    found = contract_dense(cores, shape.in_features, shape.out_features)
    torch.testing.assert_close(found, by_tensorly(cores, shape), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_are_those_through_tensorly(shape: ModeShape) -> None:
    cores = double_cores(shape)
    weights = torch.randn(
        shape.in_features, shape.out_features, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    ours = contract_dense(cores, shape.in_features, shape.out_features)
    found = torch.autograd.grad((weights * ours).sum(), cores)
    expected = torch.autograd.grad((weights * by_tensorly(cores, shape)).sum(), cores)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_an_entry_is_the_product_of_core_slices_row_major_in_the_modes() -> None:
    shape = ModeShape(6, 20, (2, 3, 4, 5))
    cores = double_cores(shape)
    matrix = contract_dense(cores, 6, 20)
    row, column = 1 * 3 + 2, 3 * 5 + 4
    slices = [core[:, index, :] for core, index in zip(cores, (1, 2, 3, 4), strict=True)]
    assert matrix[row, column].item() == pytest.approx(torch.linalg.multi_dot(slices).item())


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.boundary], ids=str)
def test_left_times_right_factor_is_the_dense_matrix(shape: ModeShape) -> None:
    cores = double_cores(shape)
    left, right = contract_left(cores[: shape.boundary]), contract_right(cores[shape.boundary :])
    assert left.shape[0] == shape.in_features
    assert right.shape[1] == shape.out_features
    dense = contract_dense(cores, shape.in_features, shape.out_features)
    torch.testing.assert_close(left @ right, dense, rtol=1e-12, atol=1e-12)


def test_two_factors_are_cheaper_below_the_break_even_rank_only() -> None:
    assert two_factors_are_cheaper(5, 768, 64)
    assert not two_factors_are_cheaper(8, 16, 16)
    assert not two_factors_are_cheaper(9, 16, 16)


def test_storing_by_columns_changes_the_layout_and_nothing_else() -> None:
    matrix = torch.randn(48, 5, requires_grad=True)
    stored = stored_by_columns(matrix)
    assert stored.stride() == (1, 48)
    assert torch.equal(stored, matrix)
    weights = torch.randn(48, 5)
    (gradient,) = torch.autograd.grad((weights * stored).sum(), matrix)
    assert torch.equal(gradient, weights)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_several_trains_give_the_matrices_of_each(shape: ModeShape) -> None:
    trains = [[core + number for core in double_cores(shape)] for number in range(3)]
    together = [torch.stack(cores) for cores in zip(*trains, strict=True)]
    cut = shape.boundary or len(shape.modes)
    for contract, part in ((contract_left, slice(cut)), (contract_right, slice(-cut, None))):
        found = contract(together[part])
        for number, cores in enumerate(trains):
            assert torch.allclose(found[number], contract(cores[part]))
    dense = contract_dense(together, shape.in_features, shape.out_features)
    assert dense.shape == (3, shape.in_features, shape.out_features)
    for number, cores in enumerate(trains):
        assert torch.allclose(dense[number], by_tensorly(cores, shape))


def test_the_rows_of_the_first_train_come_first() -> None:
    inputs = torch.arange(24.0).reshape(4, 3, 2)
    found = rows_of_each(inputs, 2)
    assert found.shape == (2, 6, 2)
    assert torch.equal(found[1], inputs[2:].reshape(6, 2))


@pytest.mark.parametrize("shape", [(2,), (1, 3, 2), (5, 2)])
def test_inputs_that_cannot_be_shared_out_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="as many rows for each of 3"):
        rows_of_each(torch.zeros(shape), 3)
