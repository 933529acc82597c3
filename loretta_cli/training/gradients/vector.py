"""The trained parameters as one flat fp32 vector, and the names under which an adapter's file has them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, PeftType, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import parameters_to_vector

from loretta_cli.errors import TrainingError
from loretta_cli.tuners.virtual_tokens import ENCODER_PREFIX

WEIGHTS = "adapter_model.safetensors"
_PLAIN_TOKENS = (PeftType.PREFIX_TUNING, PeftType.PROMPT_TUNING)
"""Methods whose virtual tokens are a table; p-tuning's come from a network."""


class ParameterVector:
    """The parameters of a model that train, end to end in the order of their names in the adapter's file.

    Args:
        parameters: By name in the adapter's file.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self.names = tuple(sorted(parameters))
        self.parameters: list[nn.Parameter] = [parameters[name] for name in self.names]
        self._sizes = [one.numel() for one in self.parameters]
        starts = itertools.accumulate(self._sizes, initial=0)
        self._places = [
            (tuple(one.shape), torch.empty(one.shape, device="meta").stride(), start)
            for one, start in zip(self.parameters, starts, strict=False)
        ]
        """Shape, strides and first number of the part of each parameter."""
        self._looked_at: torch.Tensor | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers each parameter has, by its name."""
        return dict(zip(self.names, self._sizes, strict=True))

    def read(self) -> torch.Tensor:
        """A copy of all numbers, ``(size,)``."""
        return parameters_to_vector(self.parameters).detach()

    def present(self) -> torch.Tensor:
        """All numbers, ``(size,)``: the vector that the parameters look at; a copy if they look at none."""
        seen = self._looked_at
        if seen is None or any(
            one.data_ptr() != seen.data_ptr() + start * seen.element_size()
            for one, (_, _, start) in zip(self.parameters, self._places, strict=True)
        ):
            return self.read()
        return seen

    def become(self, vector: torch.Tensor) -> None:
        """Have the parameters look at ``vector``: nothing is copied, what changes in one changes in both."""
        for parameter, part in zip(self.parameters, self.split(vector), strict=True):
            parameter.data = part
        self._looked_at = vector

    def set_gradient(self, vector: torch.Tensor) -> None:
        """Have every ``.grad`` look at ``vector``."""
        for parameter, part in zip(self.parameters, self.split(vector), strict=True):
            parameter.grad = part

    def split(self, vector: torch.Tensor) -> list[torch.Tensor]:
        """Views into ``(..., size)``, ``(..., *shape)`` each; the last axis is contiguous."""
        leading, steps, first = tuple(vector.shape[:-1]), vector.stride()[:-1], vector.storage_offset()
        # torch.split and Tensor.view take twice as long for the hundreds of parts that an adapter has.
        return [
            vector.as_strided(leading + shape, steps + strides, first + start)
            for shape, strides, start in self._places
        ]

    def load(self, folder: Path) -> torch.Tensor:
        """The vector of an adapter in a folder, on the device of the parameters."""
        tensors = load_file(folder / WEIGHTS)
        device = self.parameters[0].device
        return torch.cat([tensors[name].reshape(-1) for name in self.names]).to(device)

    def take(self, folder: Path) -> None:
        """Copy the numbers of an adapter in a folder into the parameters, one parameter at a time."""
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            for name, parameter in zip(self.names, self.parameters, strict=True):
                parameter.data.copy_(file.get_tensor(name))


def trained_parameters(model: PeftModel, *, any_dtype: bool = False) -> ParameterVector:
    """The parameters of a model that train.

    Args:
        model: With its adapter.
        any_dtype: Whether they may be other than fp32.

    Raises:
        TrainingError: If one is not fp32 and must be, or the adapter's file would not have it.
    """
    saved = get_peft_model_state_dict(
        model, state_dict=model.state_dict(keep_vars=True), save_embedding_layers=False
    )
    trained = {
        name: value
        for name, value in saved.items()
        if isinstance(value, nn.Parameter) and value.requires_grad
    }
    config = model.active_peft_config
    if config.peft_type in _PLAIN_TOKENS and not getattr(config, "prefix_projection", False):
        # What PEFT saves is computed from the table's rows, all in their order: it is the table.
        encoder: Any = model.prompt_encoder[model.active_adapter]
        trained["prompt_embeddings"] = encoder.embedding.weight
    if config.peft_type == PeftType.P_TUNING:
        network: Any = model.prompt_encoder[model.active_adapter]
        trained |= {f"{ENCODER_PREFIX}{name}": one for name, one in network.named_parameters()}
    unsaved = {one for one in model.parameters() if one.requires_grad} - set(trained.values())
    half = [name for name, one in trained.items() if one.dtype != torch.float32 and not any_dtype]
    if unsaved or half:
        what = f"{half[0]} is {trained[half[0]].dtype}" if half else "some are not saved with the adapter"
        raise TrainingError(
            f"Zeroth-order training needs parameters in fp32 that are saved with the adapter; {what}.",
            hint="Use training.gradient=backprop, or another method.",
        )
    return ParameterVector(trained)
