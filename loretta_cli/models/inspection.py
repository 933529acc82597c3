"""What the layers of a model of unknown family seem to be for, found by looking at it.

Evidence is names (``q_proj``, ``Wqkv``), shapes (a feed-forward network widens, then narrows), and position:
the layers of one owner in one repeated block belong together. Where the evidence does not suffice, a role has
no layers; nothing is guessed. Knows torch modules, but no adapter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

Role = Literal["query", "key", "value", "query_key_value", "attention_output", "ffn_input", "ffn_output"]

_QUERY_KEY_VALUE: dict[str, Role] = {"q": "query", "k": "key", "v": "value"}
_FUSED_NAMES = ("qkv", "query_key_value", "c_attn", "in_proj", "att_proj", "w_pack")
_DECORATION = re.compile(r"(^(w|to|linear|lin)_?)(?=[qkv])|_?(proj|projection|lin|linear|head|layer|dense)$")


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """A linear layer by its full name, with its widths."""

    name: str
    in_features: int
    out_features: int

    @property
    def owner(self) -> str:
        """The module that it stands in."""
        return self.name.rpartition(".")[0]

    @property
    def last_name(self) -> str:
        """The part of its name behind the last dot."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Proposal:
    """The roles that were found, each with its layers in the model's order."""

    roles: dict[Role, tuple[LinearLayer, ...]]

    def layers(self, *roles: Role) -> tuple[LinearLayer, ...]:
        """The layers of some roles."""
        return tuple(layer for role in roles for layer in self.roles.get(role, ()))


def linear_layers(model: nn.Module) -> list[LinearLayer]:
    """The linear layers of a model in its order; a Conv1D is one too."""
    found = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            found.append(LinearLayer(name, module.in_features, module.out_features))
        elif isinstance(module, Conv1D):
            found.append(LinearLayer(name, module.nx, module.nf))
    return found


def propose_roles(layers: Sequence[LinearLayer], hidden_size: int | None = None) -> Proposal:
    """Find the roles of the layers of repeated blocks.

    Args:
        layers: All linear layers of a model, in its order.
        hidden_size: Width of its hidden states by its config, for where no attention shows it.
    """
    inside = [layer for layer in layers if block_index(layer.name) is not None]
    roles: dict[str, Role] = {}
    for owner in dict.fromkeys(layer.owner for layer in inside):
        roles |= _attention([layer for layer in inside if layer.owner == owner])
    readers = [layer for layer in inside if roles.get(layer.name) in ("query", "query_key_value")]
    hidden = _width(readers) or hidden_size
    if hidden is not None:
        roles |= _attention_outputs(inside, roles, hidden)
        roles |= _feed_forward(inside, roles, hidden)
    return Proposal(
        {
            role: tuple(layer for layer in inside if roles.get(layer.name) == role)
            for role in dict.fromkeys(roles.values())
        }
    )


def block_index(name: str) -> int | None:
    """The number of the repeated block that a module stands in, by its name; None outside of blocks."""
    found = re.search(r"\.(\d+)\.", f".{name}")
    return None if found is None else int(found.group(1))


def distinguishing_names(layers: Iterable[LinearLayer], module_names: Collection[str]) -> list[str]:
    """The shortest ends of names that match these layers and no other module, in the order of the layers."""
    wanted = list(dict.fromkeys(layer.name for layer in layers))
    others = [name for name in module_names if name not in wanted]
    found: list[str] = []
    for name in wanted:
        if any(_ends_with(name, end) for end in found):
            continue
        parts = name.split(".")
        # A number alone would say nothing.
        ends = (".".join(parts[-length:]) for length in range(1 + parts[-1].isdigit(), len(parts)))
        found.append(next((end for end in ends if not any(_ends_with(other, end) for other in others)), name))
    return found


def head_modules(model: nn.Module) -> tuple[str, ...]:
    """Names of the modules with parameters that a transformers model has around its backbone."""
    if not isinstance(model, PreTrainedModel) or model.base_model is model:
        return ()
    return tuple(
        name
        for name, child in model.named_children()
        if child is not model.base_model and next(child.parameters(), None) is not None
    )


def _attention(siblings: Sequence[LinearLayer]) -> dict[str, Role]:
    """Query, key and value among the layers of one owner, apart or in one layer."""
    named = {layer.name: _QUERY_KEY_VALUE.get(_letter(layer.last_name)) for layer in siblings}
    found = {name: role for name, role in named.items() if role is not None}
    if sorted(found.values()) == ["key", "query", "value"]:
        return found
    fused = [layer for layer in siblings if _is_fused(layer)]
    return {fused[0].name: "query_key_value"} if len(fused) == 1 and not found else {}


def _letter(last_name: str) -> str:
    """``q``, ``k`` or ``v`` for the usual names of the three projections (``Wq``, ``k_proj``, ``value``)."""
    plain = _DECORATION.sub("", last_name.lower())
    return {"query": "q", "key": "k", "value": "v"}.get(plain, plain)


def _is_fused(layer: LinearLayer) -> bool:
    name = layer.last_name.lower()
    in_attention = "att" in layer.owner.lower()
    is_named_so = "qkv" in name or name in _FUSED_NAMES
    return in_attention and is_named_so and layer.out_features > layer.in_features


def _width(projections: Sequence[LinearLayer]) -> int | None:
    """The model's width: what most of its attention reads."""
    counted = Counter(layer.in_features for layer in projections)
    return counted.most_common(1)[0][0] if counted else None


def _attention_outputs(layers: Sequence[LinearLayer], roles: dict[str, Role], hidden: int) -> dict[str, Role]:
    """The one layer beside query, key and value, or in the attention around them, that leads back."""
    found: dict[str, Role] = {}
    for owner in dict.fromkeys(layer.owner for layer in layers if layer.name in roles):
        around = owner.rpartition(".")[0]
        places = [owner] if "att" not in around.rpartition(".")[2].lower() else [owner, around]
        for place in places:
            outputs = [
                layer
                for layer in layers
                if layer.name.startswith(f"{place}.")
                and layer.name not in roles
                and layer.out_features == hidden
                and not re.match(r"(q|k|v|query|key|value|pos)(_|$)", layer.last_name.lower())
            ]
            if len(outputs) == 1:
                found[outputs[0].name] = "attention_output"
            if outputs:
                break
    return found


def _feed_forward(layers: Sequence[LinearLayer], roles: dict[str, Role], hidden: int) -> dict[str, Role]:
    """Pairs that widen and narrow again, with nothing else in their owner."""
    free = [layer for layer in layers if layer.name not in roles]
    outputs = [layer for layer in free if layer.out_features == hidden and layer.in_features != hidden]
    found: dict[str, Role] = {}
    for output in outputs:
        siblings = [layer for layer in free if layer.owner == output.owner and layer != output]
        if not siblings:
            # BERT's layout: each of the two has an owner of its own, below the block.
            around = output.owner.rpartition(".")[0]
            siblings = [
                layer
                for layer in free
                if layer.owner.rpartition(".")[0] == around and layer.owner != output.owner
            ]
        widths = (output.in_features, 2 * output.in_features)  # a gate and its partner may be one layer
        if siblings and all(
            layer.in_features == hidden and layer.out_features in widths for layer in siblings
        ):
            found |= {layer.name: "ffn_input" for layer in siblings}
            found[output.name] = "ffn_output"
    return found


def _ends_with(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")
