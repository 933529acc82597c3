"""Saying which layers of a model of unknown family an adapter could stand at, for the user to confirm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from loretta_cli.models.dimensions import hidden_size
from loretta_cli.models.inspection import (
    LinearLayer,
    Proposal,
    Role,
    distinguishing_names,
    linear_layers,
    propose_roles,
)
from loretta_cli.numerals import counted

_SAID: dict[Role, str] = {
    "query": "query",
    "value": "value",
    "query_key_value": "query, key and value in one",
    "attention_output": "attention output",
    "ffn_input": "FFN input",
    "ffn_output": "FFN output",
}
_ALL_LINEAR = "adapter.target_modules=all-linear takes those of all blocks."
_LONGEST_LIST = 12
"""More names than that are no answer that a user could check."""


def candidate_names(model: nn.Module) -> list[str]:
    """Last names of the linear layers of a model, those that a target list could hold, sorted."""
    return sorted({layer.last_name for layer in own_linear_layers(model)})


def known_layers(model: nn.Module) -> str:
    """The candidates in words, without a full stop."""
    return f"Linear layers of this model: {', '.join(candidate_names(model)) or 'none'}"


def own_linear_layers(model: nn.Module) -> list[LinearLayer]:
    """The linear layers of a model under their names without adapters, and none of an adapter's."""
    return [
        LinearLayer(_plain(layer.name), layer.in_features, layer.out_features)
        for layer in linear_layers(model)
        if ".loretta_" not in layer.name and ".modules_to_save." not in layer.name
    ]


def hint_for_targets(model: nn.Module, method: str) -> str:
    """What an error adds where targets are missing: roles found by inspection and the setting to copy.

    Args:
        model: The base model.
        method: ``adp``, ``rep``, or one of PEFT's, which stand where rep does.
    """
    layers = own_linear_layers(model)
    known = known_layers(model)
    proposal = propose_roles(layers, hidden_size(config_of(model)))
    settings = _adp_settings(model, proposal) if method == "adp" else _rep_settings(model, proposal)
    if not settings:
        return f"{known}; for example adapter.target_modules=[name, name]. {_ALL_LINEAR}"
    return "\n".join(
        [
            "By their names, sizes and places, its layers seem to be:",
            *_table(model, proposal),
            "If that is right, confirm it with",
            "\nor with\n".join(f"  {setting}" for setting in settings),
            f"{known}. {_ALL_LINEAR}",
        ]
    )


def ffn_input_names(model: nn.Module) -> list[str]:
    """Names of the layers that a feed-forward network of a model begins with, empty if none is found."""
    proposal = propose_roles(own_linear_layers(model), hidden_size(config_of(model)))
    return distinguishing_names(proposal.layers("ffn_input"), _names(model))


def config_of(model: nn.Module) -> Mapping[str, Any]:
    """The config of a transformers model as a mapping; empty for other modules."""
    config: Any = getattr(model, "config", None)
    return config.to_dict() if hasattr(config, "to_dict") else {}


def _rep_settings(model: nn.Module, proposal: Proposal) -> list[str]:
    layers = proposal.layers("query", "value", "query_key_value")
    return _setting(distinguishing_names(layers, _names(model)))


def _adp_settings(model: nn.Module, proposal: Proposal) -> list[str]:
    """A setting for each placement whose layers were found."""
    sublayer = distinguishing_names(proposal.layers("attention_output", "ffn_output"), _names(model))
    mlp = distinguishing_names(proposal.layers("ffn_input", "ffn_output"), _names(model))
    return [
        f"{setting} --set adapter.placement={placement}"
        for placement, names in (("sublayer", sublayer), ("mlp", mlp))
        for setting in _setting(names)
    ]


def _setting(names: list[str]) -> list[str]:
    """The setting of some targets, quoted for a shell; none for no names or too many."""
    if not 0 < len(names) <= _LONGEST_LIST:
        return []
    return [f"--set 'adapter.target_modules=[{', '.join(names)}]'"]


def _table(model: nn.Module, proposal: Proposal) -> list[str]:
    """A line for each role: names, sizes, number of layers."""
    lines = []
    for role, said in _SAID.items():
        layers = proposal.layers(role)
        if layers:
            names = ", ".join(dict.fromkeys(_without_numbers(layer.name) for layer in layers))
            sizes = ", ".join(dict.fromkeys(f"{layer.in_features}x{layer.out_features}" for layer in layers))
            lines.append(f"  {said}: {names} ({sizes}, {counted(len(layers), 'layer')})")
    return lines


def _without_numbers(name: str) -> str:
    """A name with a star for the number of its block, and for every other."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def _names(model: nn.Module) -> list[str]:
    return [_plain(name) for name, _ in model.named_modules()]


def _plain(name: str) -> str:
    return name.removesuffix(".base_layer").removesuffix(".original_module")
