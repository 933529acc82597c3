"""What the tests of the tuners share: wrapping a tiny model, training it, reading what was saved."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import peft
import torch
from safetensors.torch import load_file

from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig
from tests.tiny_encoder_decoders import with_decoder_inputs
from tests.tiny_models import FAMILIES, OTHERS, TASK_TYPES, labelled_batch, tiny_model, token_batch

CONFIGS: dict[str, Any] = {"adp": LorettaAdpConfig, "rep": LorettaRepConfig}
PRESETS = ("paper", "standard", "lean")
CASES = [
    *itertools.product(FAMILIES, CONFIGS, PRESETS),
    *((family, "adp", "paper") for family in OTHERS),
    *((family, "rep", "standard") for family in OTHERS),
]
"""(family, method, preset)."""


def config_for(family: str, method: str, preset: str = "auto", **settings: Any) -> Any:
    """A PEFT config of the task type that the tiny model of the family has."""
    task_type = TASK_TYPES.get(family, "CAUSAL_LM")
    return CONFIGS[method](task_type=task_type, preset=preset, **settings)


def adapted(family: str, method: str, preset: str = "auto", *, model: Any = None, **settings: Any) -> Any:
    """A tiny model with a new adapter, in eval mode, the same cores every time.

    Args:
        family: Of the tiny model.
        method: ``adp`` or ``rep``.
        preset: Of the adapter.
        model: The base model; a fresh tiny one if None.
        settings: Further fields of the PEFT config.
    """
    base = tiny_model(family) if model is None else model
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return peft.get_peft_model(base, config_for(family, method, preset, **settings)).eval()


def train(model: Any, family: str, *, steps: int = 3, learning_rate: float = 0.02, seed: int = 0) -> set[str]:
    """Some steps of Adam.

    Returns:
        Names of the parameters that had a gradient other than zero in at least one step.
    """
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.Adam(trainable.values(), lr=learning_rate)
    reached = set()
    model.train()
    for step in range(steps):
        optimizer.zero_grad()
        model(**labelled_batch(family, seed=seed + step)).loss.backward()
        reached |= {name for name, value in trainable.items() if value.grad is not None and value.grad.any()}
        optimizer.step()
    model.eval()
    return reached


def logits(model: Any) -> torch.Tensor:
    """Logits for one fixed batch."""
    with torch.no_grad():
        result: torch.Tensor = model(**inputs_of(model)).logits
    return result


def inputs_of(model: Any) -> dict[str, torch.Tensor]:
    """One fixed batch."""
    batch = token_batch()
    return with_decoder_inputs(batch) if model.config.is_encoder_decoder else batch


def hidden_states(model: Any) -> tuple[torch.Tensor, ...]:
    """Outputs of the embeddings and of every block, for one fixed batch; of an encoder-decoder, of both."""
    with torch.no_grad():
        output = model(**inputs_of(model), output_hidden_states=True)
    if model.config.is_encoder_decoder:
        return (*output.encoder_hidden_states, *output.decoder_hidden_states)
    result: tuple[torch.Tensor, ...] = output.hidden_states
    return result


def copy_of_state(model: Any) -> dict[str, torch.Tensor]:
    """The state dict, detached from the model."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def saved_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """What ``save_pretrained`` wrote."""
    tensors: dict[str, torch.Tensor] = load_file(folder / "adapter_model.safetensors")
    return tensors


def trainable_count(model: Any) -> int:
    """The number of trainable parameters, by looking at them."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
