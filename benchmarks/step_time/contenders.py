"""The contenders of a case: LoRA, rep, adp, a dense bottleneck adapter, and two plain forwards."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, cast

import peft
import torch
from torch import nn

from benchmarks.step_time.cases import Workload
from loretta_cli.tt import TensorTrainLinear
from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig
from loretta_cli.tuners.adp import AdpLayer

LORA_RANK = 8
FORWARDS = "two forwards"


@dataclass(slots=True)
class Contender:
    """One way to spend a step.

    Args:
        name: As the table prints it.
        workload: Model and batch of the case.
        model: What is trained; the frozen base for the plain forwards.
        optimizer: Of the trainable parameters; None for the plain forwards.
    """

    name: str
    workload: Workload
    model: Any
    optimizer: torch.optim.Optimizer | None

    def step(self) -> None:
        """Forward, backward and optimizer step; or two forwards without a graph."""
        if self.optimizer is None:
            with torch.no_grad():
                self.workload.loss(self.model)
                self.workload.loss(self.model)
            return
        torch.autograd.backward(self.workload.loss(self.model))
        self.optimizer.step()
        self.clear()

    def clear(self) -> None:
        """Drop the gradients, those of the inputs included."""
        if self.optimizer is not None:
            self.optimizer.zero_grad(set_to_none=True)
        for value in self.workload.batch.values():
            value.grad = None

    @property
    def trainable(self) -> int:
        """The number of trainable parameters."""
        return sum(value.numel() for value in self.model.parameters() if value.requires_grad)

    def resident_bytes(self) -> int:
        """Bytes that stay from step to step: weights, buffers, optimizer state, batch."""
        tensors = [*self.model.parameters(), *self.model.buffers(), *self.workload.batch.values()]
        if self.optimizer is not None:
            states = (state.values() for state in self.optimizer.state.values())
            tensors += [value for values in states for value in values if isinstance(value, torch.Tensor)]
        return sum({id(value): value.nbytes for value in tensors}.values())


class DenseAdapter(nn.Module):
    """The bottleneck adapter that adp compresses: ``h + up(act(down(h)))`` with two ordinary linear layers.

    Args:
        base_layer: The frozen linear layer.
        width: Of the hidden states that pass through the adapter.
        bottleneck: Between the two projections.
        activation: The nonlinearity.
        on_input: Whether the adapter stands before the layer.
        device: Of the projections; they are fp32, as PEFT keeps adapters.
    """

    def __init__(
        self,
        base_layer: nn.Module,
        *,
        width: int,
        bottleneck: int,
        activation: nn.Module,
        on_input: bool,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.down = nn.Linear(width, bottleneck, device=device)
        self.up = nn.Linear(bottleneck, width, device=device)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.activation = activation
        self.on_input = on_input

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """``(..., in)`` -> ``(..., out)``."""
        outputs: torch.Tensor = self.base_layer(self._adapted(inputs) if self.on_input else inputs)
        return outputs if self.on_input else self._adapted(outputs)

    def _adapted(self, hidden: torch.Tensor) -> torch.Tensor:
        update: torch.Tensor = self.up(self.activation(self.down(hidden.to(self.down.weight.dtype))))
        return hidden + update.to(hidden.dtype)


def make_contenders(workload: Workload, *, fused: bool = False) -> list[Contender]:
    """All contenders of a case, on the same frozen weights.

    ``lora`` and ``rep`` adapt the family's query and value. ``adp`` and ``dense`` stand where the
    family's placement of adp puts them, and ``lora, adp's layers`` adapts exactly these linear layers.

    Args:
        workload: Model and batch.
        fused: Whether AdamW updates all tensors in one call, or one after the other.
    """
    task = workload.task_type
    rep = wrapped(workload, LorettaRepConfig(task_type=task))
    adp = wrapped(workload, LorettaAdpConfig(task_type=task))
    dense = _with_dense_adapters(wrapped(workload, LorettaAdpConfig(task_type=task)))
    return [
        _trained("lora", workload, _lora(workload, rep), fused),
        _trained("rep", workload, rep, fused),
        _trained("lora, adp's layers", workload, _lora(workload, adp), fused),
        _trained("adp", workload, adp, fused),
        _trained("dense", workload, dense, fused),
        Contender(FORWARDS, workload, workload.model.eval(), None),
    ]


def wrapped(workload: Workload, config: Any) -> Any:
    """The model with an adapter; the frozen weights are those of the base, not copies."""
    frozen = (*workload.model.parameters(), *workload.model.buffers())
    shared = copy.deepcopy(workload.model, {id(value): value for value in frozen})
    return peft.get_peft_model(shared, config)


def _lora(workload: Workload, like: Any) -> Any:
    """LoRA on the linear layers that another adapter has."""
    targets = list(like.targeted_module_names)
    config = peft.LoraConfig(task_type=workload.task_type, r=LORA_RANK, target_modules=targets)
    return wrapped(workload, config)


def _trained(name: str, workload: Workload, model: Any, fused: bool) -> Contender:
    trainable = [value for value in model.parameters() if value.requires_grad]
    return Contender(name, workload, model.train(), torch.optim.AdamW(trainable, lr=1e-4, fused=fused))


def _with_dense_adapters(model: Any) -> Any:
    """Put an ordinary bottleneck adapter in place of every adp layer, in place."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, AdpLayer):
            (adapter,) = layer.active_adapters
            down = cast("TensorTrainLinear", layer.loretta_adp_down[adapter])
            dense = DenseAdapter(
                layer.get_base_layer(),
                width=down.shape.in_features,
                bottleneck=down.shape.out_features,
                activation=layer.loretta_adp_activation[adapter],
                on_input=layer.on_input[adapter],
                device=next(down.parameters()).device,
            )
            owner, _, last = name.rpartition(".")
            setattr(model.get_submodule(owner), last, dense)
    return model
