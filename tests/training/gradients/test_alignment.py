"""Tensors at odd places are moved, and nothing else."""

from __future__ import annotations

import torch
from torch import nn

from loretta_cli.training.gradients.alignment import BYTES, align


def test_a_tensor_at_an_odd_place_is_moved_with_its_numbers_and_ties() -> None:
    model = nn.Linear(3, 5)
    memory = torch.arange(16.0)
    model.weight.data = memory[1:].view(5, 3)
    model.register_buffer("odd", torch.arange(9.0)[3:])
    model.tied = model.weight
    kept = model.bias.data_ptr()
    assert model.weight.data_ptr() % BYTES

    align(model)

    assert model.weight.data_ptr() % BYTES == model.get_buffer("odd").data_ptr() % BYTES == 0
    assert torch.equal(model.weight, torch.arange(1.0, 16.0).view(5, 3))
    assert torch.equal(model.get_buffer("odd"), torch.arange(3.0, 9.0))
    assert model.tied is model.weight
    assert model.bias.data_ptr() == kept
