"""Whether what trains is reached by the loss, and whether it moves.

An adapter's update is zero at the start, since one of its cores is: in the first step only that core has a
gradient, and the others have one once it has moved. So gradients count over several steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.distributed.tensor import DTensor

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_SAMPLE = 4096
"""Numbers of a tensor that stand for all of it."""
_CHUNK = 2**22
"""Numbers whose bits are added up at once: the sum is made of a copy that is twice as large or more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the trained tensors.

    Args:
        names: Of all of them.
        unreached: Of those whose gradient was zero, or missing, every time.
        unmoved: Of those that have the very bits they began with.
    """

    names: tuple[str, ...]
    unreached: tuple[str, ...]
    unmoved: tuple[str, ...]


class TrainedTensors:
    """Looks at the tensors of a model that train.

    Args:
        model: As training begins.
    """

    def __init__(self, model: nn.Module) -> None:
        trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
        # Of a tensor that lies in parts, a process sees its own only.
        self.trained = {
            name: one
            for name, one in trained.items()
            if not (isinstance(one, DTensor) or hasattr(one, "ds_id")) and one.numel()
        }
        self._start = self._bits()
        self._reached: torch.Tensor | None = None

    def look(self) -> None:
        """Note which of them have a gradient now."""
        if not self.trained:
            return
        device = next(iter(self.trained.values())).device
        nothing = torch.zeros((), dtype=torch.bool, device=device)
        reached = torch.stack(
            [nothing if one.grad is None else one.grad.any().to(device) for one in self.trained.values()]
        )
        self._reached = reached if self._reached is None else self._reached | reached

    def seen(self) -> Seen:
        """What was seen so far."""
        names = tuple(self.trained)
        reached = [False] * len(names) if self._reached is None else self._reached.tolist()
        same = (self._start == self._bits()).tolist()
        return Seen(
            names,
            unreached=tuple(name for name, found in zip(names, reached, strict=True) if not found),
            unmoved=tuple(name for name, found in zip(names, same, strict=True) if found),
        )

    def share_lost(self, size: float) -> float:
        """The share of the numbers that an update of this size leaves as they are, by their rounding.

        Args:
            size: The standard deviation of a normally distributed update.
        """
        lost, looked_at = 0.0, 0
        for one in self.trained.values():
            some = one.detach().reshape(-1)[:_SAMPLE].float().abs()
            _, exponent = torch.frexp(some)
            half_a_step = torch.ldexp(torch.full_like(some, torch.finfo(one.dtype).eps / 4), exponent)
            lost += float(((half_a_step > 3 * size) & (some > 0)).sum())
            looked_at += len(some)
        return lost / max(looked_at, 1)

    def _bits(self) -> torch.Tensor:
        """A sum of each tensor's bits as whole numbers: a change of any of them changes it."""
        return torch.tensor([_sum_of_bits(one) for one in self.trained.values()], dtype=torch.int64)


def _sum_of_bits(tensor: torch.Tensor) -> int:
    flat = tensor.detach().reshape(-1)
    whole = flat.view(_BITS[flat.element_size()])
    parts = [part.sum(dtype=torch.int64) for part in torch.split(whole, _CHUNK)]
    return int(torch.stack(parts).sum())


def idle_head(new_modules: Sequence[str], model: nn.Module) -> str:
    """What there is to say of a random head of which nothing trains; an empty string if it trains.

    Args:
        new_modules: Those of which the checkpoint had no weights.
        model: With its adapter.
    """
    trained = [f".{name}." for name, one in model.named_parameters() if one.requires_grad]
    if not new_modules or any(f".{module}." in name for module in new_modules for name in trained):
        return ""
    named = ", ".join(new_modules[:5])
    return f"the head ({named}) is random and does not train; --set adapter.head=dense trains it"
