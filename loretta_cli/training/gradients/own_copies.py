"""Modules that are not ours, each copy of a batch met with its own parameters (torch.vmap).

A tensor train takes several sets of cores by itself (:mod:`loretta_cli.tt`). A linear head, a norm or the
matrices of a LoRA do not: for the time of a forward pass, their ``forward`` is replaced by one that applies
what it was to each copy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from loretta_cli.tt import TensorTrain


class CopiesError(Exception):
    """Copies of a batch cannot go through one forward pass; the message is a clause that says why."""


def owners(model: nn.Module, trained: Sequence[nn.Parameter]) -> dict[nn.Module, tuple[str, ...]]:
    """The modules that trained parameters belong to and that are no tensor trains, each with their names.

    Raises:
        CopiesError: If other modules read the parameters of one.
    """
    wanted, found = set(trained), {}
    for name, module in model.named_modules():
        names = tuple(key for key, value in module._parameters.items() if value in wanted)
        if names and not isinstance(module, TensorTrain):
            if isinstance(module, nn.ParameterDict | nn.ParameterList) or ".parametrizations." in name:
                short = ".".join(name.split(".")[-2:])
                raise CopiesError(f"the trained parameters of {short} have no forward pass of their own")
            found[module] = names
    return found


@contextlib.contextmanager
def each_copy_apart(modules: Mapping[nn.Module, Sequence[str]], copies: int) -> Iterator[None]:
    """Have modules apply the i-th of their parameters to the i-th copy.

    Args:
        modules: With the names of their parameters that have a leading axis of copies, inside.
        copies: How many.
    """
    replaced: list[tuple[nn.Module, Any]] = []
    try:
        for module, names in modules.items():
            replaced.append((module, module.__dict__.get("forward")))
            module.forward = _for_each_copy(module, names, copies)
        yield
    finally:
        for module, own in replaced:
            del module.forward
            if own is not None:
                module.forward = own


class _Original(nn.Module):
    """Calls what a module's ``forward`` was, without the module's hooks."""

    def __init__(self, module: nn.Module, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.module = module
        self.original = forward

    def forward(self, *inputs: torch.Tensor) -> Any:
        """What the module gives for one copy."""
        return self.original(*inputs)


def _for_each_copy(module: nn.Module, names: Sequence[str], copies: int) -> Callable[..., torch.Tensor]:
    original = _Original(module, module.forward)

    def one(parameters: dict[str, torch.Tensor], *inputs: torch.Tensor) -> Any:
        return functional_call(original, parameters, inputs)

    def forward(*inputs: Any, **options: Any) -> torch.Tensor:
        for value in (*inputs, *options.values()):
            if not isinstance(value, torch.Tensor) or not value.dim() or value.shape[0] % copies:
                raise CopiesError(f"{type(module).__name__} is not given as many rows for each copy")
        parameters = {f"module.{name}": getattr(module, name) for name in names}
        split = [value.unflatten(0, (copies, -1)) for value in inputs]
        result = torch.vmap(one)(parameters, *split)
        if options or not isinstance(result, torch.Tensor):
            raise CopiesError(f"{type(module).__name__} takes or gives more than a tensor")
        return result.flatten(0, 1)

    return forward
