"""The modules: names, forward by both ways, gradients, and the way back to an ordinary layer."""

from __future__ import annotations

import pytest
import torch

from loretta_cli.tt import ModeShape, TensorTrain, TensorTrainLinear, choose_mode_shape, count_parameters

WAYS = {
    "two factors": (choose_mode_shape(48, 64), 3),
    "dense because of the rank": (choose_mode_shape(48, 64), 40),
    "dense because no bond is a border": (ModeShape(12, 16, (8, 8, 3)), 3),
}


def linear(way: str, *, bias: bool = True) -> TensorTrainLinear:
    shape, rank = WAYS[way]
    torch.manual_seed(0)
    layer = TensorTrainLinear(shape, rank, bias=bias)
    layer.double()
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    return layer


def test_cores_are_direct_parameters_with_flat_names() -> None:
    layer = TensorTrainLinear(choose_mode_shape(48, 64), 5, bias=True)
    assert [name for name, _ in layer.named_parameters()] == ["core0", "core1", "core2", "core3", "bias"]


def test_the_number_of_parameters_is_the_formula_plus_the_bias() -> None:
    layer = TensorTrainLinear(choose_mode_shape(768, 64), 5, bias=True)
    expected = count_parameters((8, 8, 12, 8, 8), (1, 5, 5, 5, 5, 1)) + 64
    assert sum(parameter.numel() for parameter in layer.parameters()) == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_forward_is_the_product_with_the_dense_matrix(way: str, leading: tuple[int, ...]) -> None:
    layer = linear(way)
    inputs = torch.randn(*leading, layer.shape.in_features, dtype=torch.float64)
    torch.testing.assert_close(layer(inputs), inputs @ layer.dense() + layer.bias, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("way", WAYS)
def test_gradients_of_forward_pass_gradcheck(way: str) -> None:
    layer = TensorTrainLinear(WAYS[way][0], min(WAYS[way][1], 3), bias=True).double()
    inputs = torch.randn(2, layer.shape.in_features, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def call(value: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        output = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (value,))
        return output.square().mean()

    assert torch.autograd.gradcheck(call, (inputs, *layer.parameters()), fast_mode=True)


def test_factors_meet_at_the_bond_between_inputs_and_outputs() -> None:
    train = TensorTrain(choose_mode_shape(48, 64), [2, 3, 4])
    factors = train.factors()
    assert factors is not None
    assert (factors[0].shape, factors[1].shape) == ((48, 3), (3, 64))
    assert train.bond_rank == 3


def test_a_straddling_train_has_no_factors_and_the_right_matrix() -> None:
    train = TensorTrain(choose_mode_shape(16, 1024), 8)
    assert train.factors() is None
    assert train.bond_rank is None
    expected = torch.einsum("zab,bcd,def,fgh,hiy->acegi", *train.cores).reshape(16, 1024)
    torch.testing.assert_close(train.dense(), expected)
    inputs = torch.randn(3, 16)
    torch.testing.assert_close(train.apply_to(inputs), inputs @ expected)


def test_a_train_of_one_row_works() -> None:
    layer = TensorTrainLinear(choose_mode_shape(1, 48), 5, bias=False)
    inputs = torch.randn(4, 1)
    torch.testing.assert_close(layer(inputs), inputs @ layer.dense())


def test_a_train_that_starts_at_zero_passes_its_first_gradient_to_the_last_core_only() -> None:
    layer = TensorTrainLinear(choose_mode_shape(48, 64), 5, bias=True, zero_last=True)
    output = layer(torch.randn(4, 48))
    assert not output.any()
    (output - 1).square().sum().backward()
    moved = [name for name, parameter in layer.named_parameters() if parameter.grad.any()]
    assert moved == ["core3", "bias"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bias", [True, False])
def test_the_dense_layer_is_the_same_map_and_shares_no_memory(way: str, bias: bool) -> None:
    layer = linear(way, bias=bias)
    plain = layer.to_dense()
    inputs = torch.randn(3, layer.shape.in_features, dtype=torch.float64)
    expected = layer(inputs).detach()
    torch.testing.assert_close(plain(inputs), expected, rtol=1e-10, atol=1e-10)
    assert type(plain) is torch.nn.Linear
    assert (plain.bias is not None) is bias
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(1.0)
    torch.testing.assert_close(plain(inputs), expected, rtol=1e-10, atol=1e-10)


def test_a_train_prints_its_modes_and_ranks() -> None:
    assert "modes=8·6 | 8·8, ranks=[1, 5, 5, 5, 1]" in repr(TensorTrain(choose_mode_shape(48, 64), 5))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("leading", [(4,), (2, 3)])
def test_each_of_several_trains_is_applied_to_its_own_inputs(
    way: str, bias: bool, leading: tuple[int, ...]
) -> None:
    layer = linear(way, bias=bias)
    parts = [{name: value + number for name, value in layer.named_parameters()} for number in range(2)]
    inputs = torch.randn(*leading, layer.shape.in_features, dtype=torch.float64)
    together = {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
    with torch.no_grad():
        found = torch.func.functional_call(layer, together, (inputs,))
        alone = [
            torch.func.functional_call(layer, part, (own,))
            for part, own in zip(parts, inputs.chunk(2), strict=True)
        ]
    assert torch.allclose(found, torch.cat(alone))
