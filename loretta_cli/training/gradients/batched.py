"""Several perturbed points in one forward pass over the frozen backbone.

Every copy of the batch has trained parameters of its own. A backbone that is read once for all of them, and
fewer and larger products, make it faster where a batch has few tokens.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import nn
from torch.func import functional_call

from loretta_cli.tasks.forms import TaskForm
from loretta_cli.training.gradients.base import BatchLoss
from loretta_cli.training.gradients.losses_at import Point, Sequential
from loretta_cli.training.gradients.own_copies import CopiesError, each_copy_apart, owners
from loretta_cli.training.gradients.vector import ParameterVector


class Batched:
    """As many points in one forward pass as a number of tokens allows.

    The sizes of the passes follow from the batch and the points alone, and so do the bits of the losses.

    Args:
        vector: The trained parameters.
        model: That has them.
        tokens: Of all copies of a batch in one forward pass, at most, padding included.
        tell: Hears once of a batch that cannot have copies, whose points are then met one by one. Without it,
            such a batch raises :class:`CopiesError`.

    Raises:
        CopiesError: If a trained parameter is one that cannot have copies.
    """

    def __init__(
        self,
        vector: ParameterVector,
        model: nn.Module,
        tokens: int,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.vector, self.tokens, self.tell = vector, tokens, tell
        self._has_told = False
        self._owners = owners(model, vector.parameters)
        names = {parameter: name for name, parameter in model.named_parameters()}
        self._names = [f"model.{names[parameter]}" for parameter in vector.parameters]
        self._one_by_one = Sequential(vector)

    def __call__(
        self,
        loss: BatchLoss,
        theta: torch.Tensor,
        points: Sequence[Point],
        draw: Callable[[int], torch.Tensor],
        eps: float,
    ) -> dict[Point, float]:
        """See :class:`LossesAt`."""
        found: dict[Point, float] = {}
        for part in _parts(points, max(1, self.tokens // tokens_of(loss))):
            if len(part) == 1:
                found |= self._one_by_one(loss, theta, part, draw, eps)
                continue
            try:
                found |= zip(part, self._together(loss, theta, part, draw, eps), strict=True)
            except CopiesError as error:
                if self.tell is None:
                    raise
                # The batch alone decides, so a resumed run comes to the same bits.
                self._say(str(error))
                found |= self._one_by_one(loss, theta, part, draw, eps)
        return found

    def _say(self, reason: str) -> None:
        if self.tell is not None and not self._has_told:
            self._has_told = True
            self.tell(
                f"a batch takes no copies ({reason}): the queries of such batches are evaluated one by one"
            )

    def _together(
        self,
        loss: BatchLoss,
        theta: torch.Tensor,
        points: Sequence[Point],
        draw: Callable[[int], torch.Tensor],
        eps: float,
    ) -> list[float]:
        copies = len(points)
        bank = theta.new_empty(copies, theta.numel())
        for place, (query, side) in zip(bank, points, strict=True):
            if side:
                torch.add(theta, draw(query), alpha=side * eps, out=place)
            else:
                place.copy_(theta)
        tensors = dict(zip(self._names, self.vector.split(bank), strict=True))
        inputs = {name: value.repeat(copies, *[1] * (value.dim() - 1)) for name, value in loss.inputs.items()}
        with each_copy_apart(self._owners, copies), loss.precision():
            losses = functional_call(_RowLosses(loss.form, loss.model), tensors, (inputs,))
        values: list[float] = (losses.view(copies, -1) @ loss.weights).tolist()
        return values


class _RowLosses(nn.Module):
    """The losses of the rows of a batch as a module, whose parameters can be replaced for a call."""

    def __init__(self, form: TaskForm, model: nn.Module) -> None:
        super().__init__()
        self.form, self.model = form, model

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """``(rows,)``."""
        return self.form.losses(self.model, inputs)


def tokens_of(loss: BatchLoss) -> int:
    """The numbers in the largest tensor of a batch: its tokens, padding included."""
    return max(value.numel() for value in loss.inputs.values())


def _parts(points: Sequence[Point], most: int) -> Iterator[Sequence[Point]]:
    """As few parts as can be, of sizes as equal as can be; none of no points: a process may have no query."""
    count = math.ceil(len(points) / most)
    if not count:
        return iter(())
    ends = [len(points) * number // count for number in range(count + 1)]
    return (points[start:end] for start, end in itertools.pairwise(ends))
