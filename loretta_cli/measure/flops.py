"""FLOPs of one training step, counted by torch on a model without weights: nothing is computed.

Matrix products of the forward and the backward pass count; element-wise work does not.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from loretta_cli.config import AdapterSettings
from loretta_cli.models.families import family_of
from loretta_cli.models.forms import task_type_of
from loretta_cli.models.loading import empty_model
from loretta_cli.models.outline import Form
from loretta_cli.tuners.settings import make_peft_config
from loretta_cli.tuners.targets import insert_adapter

_DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers")


def flops_per_step(
    method: str, settings: AdapterSettings, model_config: Any, *, form: Form, labels: int, tokens: int
) -> int | None:
    """FLOPs of the forward and the backward pass over one row of tokens.

    Args:
        method: Its name.
        settings: Of the adapter.
        model_config: The transformers config.
        form: Which head the model has.
        labels: Labels of a classification head.
        tokens: Length of the row.

    Returns:
        The number; None where the model cannot run without weights.
    """

    def count(layers: int | None) -> int:
        model = empty_model(with_layers(model_config, layers), form, labels)
        return _count(_with_method(model, method, settings, form), tokens)

    depth = depth_of(model_config)
    chosen_layers = settings.layers_to_transform is not None
    try:
        if depth <= 4 or chosen_layers or family_of(model_config.model_type) is None:
            return count(None)
        # The blocks of the known families are alike: each further one costs the same.
        two, four = count(2), count(4)
    except (RuntimeError, ValueError):
        return None
    return two + (four - two) // 2 * (depth - 2)


def depth_of(model_config: Any) -> int:
    """The number of blocks of a model; 0 if it has two numbers, or none."""
    depths = {getattr(model_config, name) for name in _DEPTHS if hasattr(model_config, name)}
    return int(depths.pop()) if len(depths) == 1 else 0


def with_layers(model_config: Any, layers: int | None) -> Any:
    """The config of the same model with so many blocks; None leaves it as it is."""
    if layers is None:
        return model_config
    short = copy.deepcopy(model_config)
    for name in _DEPTHS:
        if name in short.to_dict():
            setattr(short, name, layers)
    if getattr(short, "layer_types", None):
        short.layer_types = short.layer_types[:layers]
    return short


def _count(model: nn.Module, tokens: int) -> int:
    ids = torch.zeros((1, tokens), dtype=torch.long, device="meta")
    base: Any = model
    # Without a padding token no model looks into the tokens, which have no values here.
    base.config.pad_token_id = None
    inputs = {"input_ids": ids}
    if base.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids[:, :1]
    model.train()
    with FlopCounterMode(display=False) as counter:
        base(**inputs).logits.sum().backward()
    return int(counter.get_total_flops())


def _with_method(model: Any, method: str, settings: AdapterSettings, form: Form) -> Any:
    settings = settings.model_copy(update={"method": method})
    task_type = task_type_of(form, model.config)
    config = make_peft_config(settings, task_type=task_type, model_type=model.config.model_type)
    return insert_adapter(model, config)
