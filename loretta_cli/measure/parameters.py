"""Counting what trains, in parts: cores, adapter biases, norms, head. The parts sum to the whole.

No torch at the top: a count by formula has the same form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from loretta_cli.models.families import family_of

if TYPE_CHECKING:
    from torch import nn

FLOAT32_BYTES = 4
NO_PARTS = {"cores": 0, "biases": 0, "norms": 0, "head": 0}
"""The parts of a count; ``full`` has one more, ``base``, and nothing in these."""


def own_part(method: str) -> str:
    """What people are told that the part ``cores`` is: only adp and rep have tensor trains."""
    return "cores" if method in ("adp", "rep") else "adapter"


@dataclass(frozen=True, slots=True)
class LayerShape:
    """One adapted matrix: its name, TT modes ("8·8·12 | 8·8") and ranks, and trainable numbers."""

    name: str
    modes: str
    ranks: tuple[int, ...]
    parameters: int


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """What an adapter trains on a model.

    Args:
        trainable: Numbers that train.
        total: Numbers of the base model.
        parts: ``cores`` (for other methods than ours: their own weights), ``biases``, ``norms``, ``head``.
        storage_bytes: Size of the saved tensors, trained and frozen, in fp32.
        layers: Number of adapted modules.
        shapes: The trains, in the model's order.
    """

    trainable: int
    total: int
    parts: Mapping[str, int]
    storage_bytes: int
    layers: int
    shapes: tuple[LayerShape, ...] = ()

    @property
    def percent(self) -> float:
        """``trainable`` in percent of ``total``."""
        return 100.0 * self.trainable / self.total

    def parts_in_words(self, method: str) -> str:
        """The parts that train, such as "cores 13,980, norms 38,400"."""
        named = {own_part(method) if name == "cores" else name: size for name, size in self.parts.items()}
        return ", ".join(f"{name} {size:,}" for name, size in named.items() if size)

    def as_json(self) -> dict[str, Any]:
        """The fields of the ``--json`` contract."""
        return {
            "trainable": self.trainable,
            "total": self.total,
            "percent": self.percent,
            "parts": dict(self.parts),
            "storage_bytes": self.storage_bytes,
            "layers": self.layers,
            "shapes": [asdict(shape) for shape in self.shapes],
        }


def count_base(model: nn.Module) -> int:
    """Numbers of a model before an adapter is put in; a tied matrix counts once, a quantised one in full."""
    from loretta_cli.models.quantization import parameter_size

    return sum(parameter_size(parameter) for parameter in model.parameters())


def count_adapter(model: Any, total: int, model_type: str | None) -> ParameterCount:
    """Count a ``PeftModel``.

    Args:
        model: The model with its adapter.
        total: :func:`count_base` of the base model.
        model_type: For the names of the norms.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    from loretta_cli.tuners.selected import SelectedConfig, SelectedParameter

    family = family_of(model_type)
    norms = family.norms if family is not None else ()
    config = model.active_peft_config
    parts = dict(NO_PARTS)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = _selected_part(name, config) if isinstance(config, SelectedConfig) else _part(name, norms)
            parts[part] = parts.get(part, 0) + parameter.numel()
    layers = (
        isinstance(module, BaseTunerLayer) and not isinstance(module, SelectedParameter)
        for module in model.modules()
    )
    return ParameterCount(
        trainable=sum(parts.values()),
        total=total,
        parts=parts,
        storage_bytes=FLOAT32_BYTES * _stored(model),
        layers=sum(layers),
        shapes=_shapes(model),
    )


def _stored(model: Any) -> int:
    """Numbers of the tensors that are saved."""
    from peft import PeftType, get_peft_model_state_dict

    config = model.active_peft_config
    if config.is_prompt_learning:
        # What is saved would have to be computed: p-tuning's tokens, beside what makes them.
        made = config.num_virtual_tokens * config.token_dim if config.peft_type == PeftType.P_TUNING else 0
        return int(made + sum(value.numel() for value in model.parameters() if value.requires_grad))
    saved = get_peft_model_state_dict(model, save_embedding_layers=False)
    return int(sum(tensor.numel() for tensor in saved.values()))


def _selected_part(name: str, config: Any) -> str:
    """The part of a parameter of the base model that trains itself."""
    if config.parameters == "all":
        return "base"
    owner = name.removeprefix("base_model.model.").partition(".parametrizations.")[0]
    return "head" if config.is_whole(owner) else "biases"


def _part(name: str, norms: tuple[str, ...]) -> str:
    owner, carried, _ = name.partition(".modules_to_save.")
    if carried:
        return "norms" if owner.endswith(norms) and norms else "head"
    return "biases" if name.endswith(".bias") else "cores"


def _shapes(model: nn.Module) -> tuple[LayerShape, ...]:
    from loretta_cli.tt import TensorTrain

    return tuple(
        LayerShape(
            name.removeprefix("base_model.model."),
            str(module.shape),
            module.ranks,
            sum(parameter.numel() for parameter in module.parameters()),
        )
        for name, module in model.named_modules()
        if isinstance(module, TensorTrain)
    )
