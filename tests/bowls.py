"""Quadratic losses with a zeroth-order estimator of their gradient, and what is known of both."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.processes import Processes
from loretta_cli.training.gradients.base import BatchLoss, Moment
from loretta_cli.training.gradients.directions import Distribution, direction
from loretta_cli.training.gradients.losses_at import Sequential
from loretta_cli.training.gradients.trajectory import Record
from loretta_cli.training.gradients.vector import ParameterVector
from loretta_cli.training.gradients.zeroth_order import Beginning, ZerothOrder

SIZE = 40
SEED = 11


class Bowl(nn.Module):
    """Quadratic losses of its parameter, one a row: ``(w - a) H (w - a) / 2``."""

    def __init__(self) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        self.w = nn.Parameter(torch.randn(SIZE, generator=draws))
        self.curvatures = torch.linspace(0.5, 2.0, SIZE)
        self.dropout = nn.Dropout(0.9)
        self.modes: list[bool] = []

    def rows(self, centres: torch.Tensor) -> torch.Tensor:
        """The losses of rows, ``(rows,)``."""
        self.modes.append(self.training)
        away = self.dropout(self.w - centres)
        return (away.square() * self.curvatures).sum(-1) / 2


class Rows:
    """The form of a bowl; counts, and may fail."""

    def __init__(self, fail_at: int | None = None, values: Sequence[float] = ()) -> None:
        self.calls, self.fail_at, self.values = 0, fail_at, values

    def losses(self, model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """See :class:`Bowl`; or the values given, one a call."""
        self.calls += 1
        if self.calls == self.fail_at:
            raise RuntimeError("out of memory")
        if self.values:
            return torch.full((len(batch["centres"]),), self.values[self.calls - 1])
        losses: torch.Tensor = model.rows(batch["centres"])
        return losses


def bowl_loss(bowl: Bowl, form: Any = None, rows: int = 4, first: int = 0) -> BatchLoss:
    """The mean loss of some rows."""
    centres = torch.randn(16, SIZE, generator=torch.Generator().manual_seed(1))[first : first + rows]
    weights = torch.full((rows,), 1 / rows)
    return BatchLoss(bowl, form or Rows(), {"centres": centres}, weights, contextlib.nullcontext)


def estimator(
    vector: ParameterVector,
    *,
    eps: float = 1e-2,
    past: Sequence[Record] = (),
    told: list[Record] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    **settings: Any,
) -> ZerothOrder:
    """One of a single process, without a file."""
    heard = told if told is not None else []
    return ZerothOrder(
        ZerothOrderSettings(**settings),
        vector,
        seed=SEED,
        epochs=1,
        mine=Processes(),
        begin=lambda loss: Beginning(eps, Sequential(vector), 0),
        trajectory=None,
        past=past,
        taken=0,
        checkpoints=(),
        point=lambda steps: Path(),
        optimizer=lambda: optimizer or torch.optim.SGD(vector.parameters, lr=0.1),
        tell=lambda record, pace: heard.append(record),
    )


def moment(step: int, *, is_last: bool = True, rate: float = 0.1) -> Moment:
    """The moment of a step in the first epoch."""
    return Moment(step=step, epoch=1, learning_rate=rate, is_last=is_last)


def take(made: ZerothOrder, loss: BatchLoss, step: int = 0, rate: float = 0.1) -> torch.Tensor:
    """The gradient that one step of one batch fills in, ``(size,)``."""
    made.accumulate(loss, scale=1.0, backward=no_backward, moment=moment(step, rate=rate))
    return torch.cat([one.grad.reshape(-1).clone() for one in made.vector.parameters if one.grad is not None])


def no_backward(loss: torch.Tensor) -> None:
    """Fails: zeroth order has none."""
    raise AssertionError("there is no backward pass")


def exact(loss: BatchLoss, vector: ParameterVector) -> torch.Tensor:
    """Autograd's gradient, ``(size,)``, fp64."""
    loss.model.eval()
    found = torch.autograd.grad(loss(), vector.parameters)
    return torch.cat([one.reshape(-1) for one in found]).double()


def bowl_vector(bowl: Bowl) -> ParameterVector:
    """What trains of a bowl."""
    return ParameterVector({"w": bowl.w})


def z_of(step: int, query: int, kind: Distribution = "gaussian", size: int = SIZE) -> torch.Tensor:
    """A direction of the estimator, fp64."""
    return direction(SEED, step, query, size, kind).double()
