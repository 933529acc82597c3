"""How GGUF files name the architectures and weights that adapters are exported for.

The tensor names are those of the package ``gguf``. What it does not know stands here: the architecture of a
model type, and where llama.cpp wants the rows of queries and keys in another order than transformers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from loretta_cli.errors import ConfigError

INSTALL = "pip install 'loretta-cli[export]'"


@dataclass(frozen=True, slots=True)
class GgufArchitecture:
    """An architecture of llama.cpp.

    Args:
        name: As ``general.architecture`` says it.
        heads_of: Of the layers whose rows are permuted, the last part of the name, with the field of the
            config that counts their heads. Such rows pair the two halves of a head for the rotation in turn,
            where transformers has one half after the other.
        norms_plus_one: Whether weights of norms stand in the file with 1 added.
    """

    name: str
    heads_of: Mapping[str, str]
    norms_plus_one: bool = False


PAIRED = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}

GGUF_ARCHITECTURES = {
    "llama": GgufArchitecture("llama", PAIRED),
    "mistral": GgufArchitecture("llama", PAIRED),
    "qwen2": GgufArchitecture("qwen2", {}),
    "qwen3": GgufArchitecture("qwen3", {}),
    "gemma": GgufArchitecture("gemma", {}, norms_plus_one=True),
    "gemma2": GgufArchitecture("gemma2", {}, norms_plus_one=True),
    "gemma3_text": GgufArchitecture("gemma3", {}, norms_plus_one=True),
    "phi3": GgufArchitecture("phi3", {}),
}
"""By ``config.model_type`` of transformers."""


def gguf_package() -> Any:
    """The package ``gguf``.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import gguf
    except ImportError as error:
        raise ConfigError(
            "GGUF files need the package gguf, which is not installed.", hint=INSTALL
        ) from error
    return gguf


def gguf_architecture(model_type: str) -> GgufArchitecture:
    """The architecture of a model type.

    Raises:
        ConfigError: If it is none of those above.
    """
    found = GGUF_ARCHITECTURES.get(model_type)
    if found is None:
        raise ConfigError(
            f"A model of type {model_type} has no GGUF export here.",
            hint=f"It is made for models of type {', '.join(GGUF_ARCHITECTURES)}.",
        )
    return found


def tensor_names(model_config: Any, modules: Sequence[str]) -> dict[str, str]:
    """The name of each module's weight in GGUF, ``.weight`` included.

    Args:
        model_config: Of transformers.
        modules: Names of linear layers of its causal language model.

    Raises:
        ConfigError: If one has no tensor of its own in GGUF.
    """
    gguf = gguf_package()
    name = gguf_architecture(model_config.model_type).name
    known = _name_map(gguf, model_config)
    found = {module: known.get_name(module) for module in modules}
    tied = model_config.tie_word_embeddings
    lacking = [module for module, tensor in found.items() if tensor is None or (tied and tensor == "output")]
    if lacking:
        raise ConfigError(
            f"The adapter is on {lacking[0]}, which has no weight of its own in a GGUF file of {name}.",
            hint="Train with adapter.target_modules in attention and MLP.",
        )
    return {module: f"{tensor}.weight" for module, tensor in found.items()}


def parameter_names(model_config: Any, parameters: Sequence[str]) -> dict[str, str | None]:
    """The tensor of each parameter of a causal language model in GGUF; None where there is none.

    Args:
        model_config: Of transformers.
        parameters: Their names, ``.weight`` or ``.bias`` included.

    Raises:
        ConfigError: If its architecture is none of those above.
    """
    known = _name_map(gguf_package(), model_config)
    return {name: known.get_name(name, try_suffixes=(".weight", ".bias")) for name in parameters}


def _name_map(gguf: Any, model_config: Any) -> Any:
    name = gguf_architecture(model_config.model_type).name
    kinds = {value: key for key, value in gguf.MODEL_ARCH_NAMES.items()}
    return gguf.get_tensor_name_map(kinds[name], model_config.num_hidden_layers)


def as_in_gguf(value: torch.Tensor, parameter: str, model_config: Any) -> torch.Tensor:
    """A parameter as its tensor in GGUF has it: rows in llama.cpp's order, norms shifted.

    Args:
        value: Of the parameter.
        parameter: Its name.
        model_config: Of transformers.
    """
    architecture = gguf_architecture(model_config.model_type)
    if architecture.norms_plus_one and parameter.endswith("norm.weight"):
        return value + 1
    return in_gguf_order(value, parameter.rpartition(".")[0], model_config)


def in_gguf_order(weight: torch.Tensor, module: str, model_config: Any) -> torch.Tensor:
    """A weight with its rows as llama.cpp wants them.

    Args:
        weight: ``(out, ...)``.
        module: Name of the layer.
        model_config: Of transformers.
    """
    field = gguf_architecture(model_config.model_type).heads_of.get(module.rpartition(".")[2])
    if field is None:
        return weight
    heads = getattr(model_config, field) or model_config.num_attention_heads
    halves = weight.reshape(heads, 2, -1, *weight.shape[1:])
    return halves.transpose(1, 2).reshape(weight.shape).contiguous()
