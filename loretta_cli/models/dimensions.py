"""Width and depth of a model, whatever its config calls them. Imports only the standard library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WIDTH = ("hidden_size", "n_embd", "d_model", "dim")
_DEPTH = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")


def hidden_size(config: Mapping[str, Any]) -> int | None:
    """Width of the model's hidden states, or None if its config does not say.

    Args:
        config: A transformers config as a mapping (``to_dict``), in which aliases are not resolved.
    """
    return _first(config, _WIDTH)


def embedding_size(config: Mapping[str, Any]) -> int | None:
    """Width of the word embeddings, which a few models have narrower than their hidden states.

    Args:
        config: A transformers config as a mapping (``to_dict``), in which aliases are not resolved.
    """
    return _first(config, ("embedding_size", "word_embed_proj_dim", *_WIDTH))


def num_layers(config: Mapping[str, Any]) -> int | None:
    """Number of blocks of the model (of its encoder, if it has two stacks), or None if that is not said.

    Args:
        config: A transformers config as a mapping (``to_dict``), in which aliases are not resolved.
    """
    depths = [depth for depth in (_first(config, _DEPTH), config.get("num_decoder_layers")) if depth]
    return max(depths, default=None)


def has_one_key(config: Mapping[str, Any]) -> bool:
    """Whether all heads of attention share one key and one value, as Falcon says it."""
    return bool(config.get("multi_query")) and not config.get("new_decoder_architecture")


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((config[name] for name in names if config.get(name) is not None), None)
