"""The loss of a batch, as a function of the parameters."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn

from loretta_cli.training.gradients.base import BatchLoss
from tests.bowls import Rows


@pytest.mark.parametrize("whole", [True, False])
def test_dropout_is_off_in_every_part_of_the_model(whole: bool) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.5))).eval()
    (model if whole else model[1]).train()
    loss = BatchLoss(model, Rows(), {}, torch.ones(1), contextlib.nullcontext)  # type: ignore[arg-type]

    loss.switch_off_dropout()

    assert not any(module.training for module in model.modules())
