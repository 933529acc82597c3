"""Parameters as views of one vector."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from loretta_cli.errors import TrainingError
from loretta_cli.training.gradients.vector import ParameterVector, trained_parameters
from loretta_cli.tuners.virtual_tokens import ENCODER_PREFIX
from tests.tiny_models import tiny_model
from tests.tuners.adapters import adapted
from tests.tuners.baselines import with_method


@pytest.fixture
def parameters() -> dict[str, nn.Parameter]:
    return {"b": nn.Parameter(torch.arange(6.0).view(2, 3)), "a": nn.Parameter(torch.tensor([7.0, 8.0]))}


def test_numbers_stand_in_the_order_of_the_names(parameters: dict[str, nn.Parameter]) -> None:
    vector = ParameterVector(parameters)

    assert vector.sizes == {"a": 2, "b": 6}
    assert vector.read().tolist() == [7, 8, 0, 1, 2, 3, 4, 5]


def test_what_was_read_is_a_copy(parameters: dict[str, nn.Parameter]) -> None:
    vector = ParameterVector(parameters)

    vector.read().zero_()

    assert parameters["a"].tolist() == [7, 8]


def test_the_present_numbers_are_the_vector_that_the_parameters_look_at(
    parameters: dict[str, nn.Parameter],
) -> None:
    vector, numbers = ParameterVector(parameters), torch.arange(10.0)[2:]
    vector.become(numbers)
    parameters["b"].data.mul_(2)

    assert vector.present() is numbers
    assert vector.present().tolist() == [2, 3, 8, 10, 12, 14, 16, 18]


def test_the_present_numbers_are_a_copy_where_the_parameters_look_at_no_vector(
    parameters: dict[str, nn.Parameter],
) -> None:
    vector = ParameterVector(parameters)
    vector.present().zero_()
    assert parameters["a"].tolist() == [7, 8]

    vector.become(torch.arange(8.0))
    parameters["a"].data = torch.tensor([5.0, 6.0])
    vector.present().zero_()
    assert parameters["a"].tolist() == [5, 6]
    assert vector.present().tolist() == [5, 6, 2, 3, 4, 5, 6, 7]


def test_parameters_become_views_with_their_shapes(parameters: dict[str, nn.Parameter]) -> None:
    vector, numbers = ParameterVector(parameters), torch.arange(8.0)
    vector.become(numbers)

    assert parameters["b"].tolist() == [[2, 3, 4], [5, 6, 7]]
    numbers[0] = -1
    assert parameters["a"].tolist() == [-1, 1]


def test_gradients_become_views_with_their_shapes(parameters: dict[str, nn.Parameter]) -> None:
    ParameterVector(parameters).set_gradient(torch.arange(8.0))

    assert parameters["b"].grad is not None
    assert parameters["b"].grad.tolist() == [[2, 3, 4], [5, 6, 7]]


def test_several_vectors_are_split_at_once(parameters: dict[str, nn.Parameter]) -> None:
    parts = ParameterVector(parameters).split(torch.arange(16.0).view(2, 8))

    assert [part.shape for part in parts] == [(2, 2), (2, 2, 3)]
    assert parts[1][1].tolist() == [[10, 11, 12], [13, 14, 15]]


def test_a_vector_inside_another_is_split_where_it_begins(parameters: dict[str, nn.Parameter]) -> None:
    parts = ParameterVector(parameters).split(torch.arange(30.0).view(3, 10)[1:, 2:])

    assert parts[0].tolist() == [[12, 13], [22, 23]]
    assert parts[1][1].tolist() == [[24, 25, 26], [27, 28, 29]]


def test_a_saved_adapter_comes_back_bit_for_bit(tmp_path: Path) -> None:
    model = adapted("bert", "rep", "standard")
    vector = trained_parameters(model)
    theta = torch.randn(vector.read().numel(), generator=torch.Generator().manual_seed(0))
    vector.become(theta)
    model.save_pretrained(str(tmp_path))
    vector.become(torch.zeros_like(theta))

    assert torch.equal(vector.load(tmp_path), theta)


def test_all_that_trains_is_in_the_vector() -> None:
    model = adapted("bert", "adp", "standard")

    sizes = trained_parameters(model).sizes

    assert sum(sizes.values()) == sum(one.numel() for one in model.parameters() if one.requires_grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", ["ia3", "lora", "p-tuning", "prefix", "prompt", "vera"])
def test_all_that_trains_of_a_compared_method_is_in_the_vector(method: str, dtype: torch.dtype) -> None:
    model = with_method("bert", method, model=tiny_model("bert", dtype=dtype))

    vector = trained_parameters(model)

    assert set(vector.parameters) == {one for one in model.parameters() if one.requires_grad}
    assert vector.read().dtype == torch.float32
    assert any(name.startswith(ENCODER_PREFIX) for name in vector.names) == (method == "p-tuning")


def test_parameters_in_half_precision_are_refused() -> None:
    model = adapted("bert", "rep", "standard")
    next(one for one in model.parameters() if one.requires_grad).data = torch.zeros(1, dtype=torch.bfloat16)

    with pytest.raises(TrainingError, match="needs parameters in fp32"):
        trained_parameters(model)
