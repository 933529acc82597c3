"""A LoRA as rep: the update of each layer as the nearest pair of tensor trains.

``x A B`` of rep is one chain of cores: the modes of the inputs, of the bottleneck twice, of the outputs. The
bottleneck is no wider than the TT rank, so its cores can hold any change of basis and cost no exactness; what
is truncated is the train of the update as a whole (:mod:`loretta_cli.tt.product`). A and B come out with the
singular values of the update split evenly, and the scale of rep is 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from peft import LoraConfig
from peft.utils.other import get_pattern_key

from loretta_cli.errors import ConfigError
from loretta_cli.tt import ModeShape, balanced_modes, choose_mode_shape, spread_rank, tt_svd
from loretta_cli.tt.contraction import contract_dense
from loretta_cli.tt.product import nearest_factors, relative_error, useful_ranks
from loretta_cli.tuners.rep.as_lora import PREFIX
from loretta_cli.tuners.rep.config import LorettaRepConfig

Tensors = Mapping[str, torch.Tensor]
Update = tuple[torch.Tensor, torch.Tensor]
"""``(in, r)`` and ``(r, out)``, whose product is what a LoRA adds to a layer, scale included."""

_KEY = re.compile(rf"{re.escape(PREFIX)}(?P<layer>.+)\.lora_(?P<side>[AB])\.weight")
_KEEP_THE_BASE = (True, False, "gaussian", "eva", "orthogonal")
"""``init_lora_weights`` that leave the base weights as they are."""
_REFUSED = {
    "use_dora": "DoRA (use_dora), which also scales the columns of the weight",
    "lora_bias": "biases of its own (lora_bias)",
    "trainable_token_indices": "trained tokens (trainable_token_indices)",
    "target_parameters": "parameters without a layer of their own (target_parameters)",
    "layer_replication": "repeated layers (layer_replication)",
    "alora_invocation_tokens": "an invocation text (alora_invocation_tokens)",
    "use_qalora": "QA-LoRA (use_qalora)",
    "use_bdlora": "block-diagonal factors (use_bdlora)",
    "arrow_config": "Arrow routing (arrow_config)",
    "kasa_config": "KaSA (kasa_config)",
    "monteclora_config": "MonteCLoRA (monteclora_config)",
}
"""Settings of PEFT's LoRA that make it more than a product of two matrices added to a linear layer."""


@dataclass(frozen=True, slots=True)
class RepForm:
    """A LoRA as rep.

    Args:
        config: Of the rep adapter; its ``modules_to_save`` are the LoRA's.
        cores: By their names in an adapter file.
        errors: Of each layer: the Frobenius norm of what is lost, relative to that of the LoRA's update.
        rank: The TT rank, which is the one asked for or the highest that any bond can use.
    """

    config: LorettaRepConfig
    cores: dict[str, torch.Tensor]
    errors: dict[str, float]
    rank: int


def lora_updates(config: LoraConfig, tensors: Tensors) -> tuple[dict[str, Update], dict[str, torch.Tensor]]:
    """What a LoRA adds to each layer.

    Args:
        config: Of the LoRA.
        tensors: Of its file.

    Returns:
        The updates by the names of their layers, and the other tensors: of modules saved whole.

    Raises:
        ConfigError: If it is more than a plain LoRA on linear layers, or its tensors do not fit its config.
    """
    _check_plain(config)
    sides: dict[str, dict[str, torch.Tensor]] = {}
    others: dict[str, torch.Tensor] = {}
    # Its own matrices first: those of an embedding say more than the copy of the embedding beside them.
    for key, value in sorted(tensors.items(), key=lambda item: ".lora_" not in item[0]):
        found = _KEY.fullmatch(key)
        if found is None or value.dim() != 2:
            _check_other(key, config)
            if not torch.isfinite(value).all():
                raise ConfigError(f"The LoRA has numbers that are not finite, in {key.removeprefix(PREFIX)}.")
            others[key] = value
        else:
            sides.setdefault(found["layer"], {})[found["side"]] = value
    if not sides:
        raise ConfigError("The LoRA has no lora_A and lora_B of a linear layer.")
    return {name: _update(name, pair, config) for name, pair in sorted(sides.items())}, others


def rep_form(config: LoraConfig, updates: Mapping[str, Update], rank: int) -> RepForm:
    """The rep adapter nearest to a LoRA at one TT rank.

    Args:
        config: Of the LoRA.
        updates: Of its layers.
        rank: The TT rank. Where no bond can use it, the highest that one can use takes its place.
    """
    bottleneck = min(rank, max(left.shape[1] for left, _ in updates.values()))
    pairs = {
        name: (_aligned(len(left), bottleneck), _aligned(bottleneck, right.shape[1]))
        for name, (left, right) in updates.items()
    }
    shapes = {shape for pair in pairs.values() for shape in pair}
    rank = min(rank, max((limit for shape in shapes for limit in useful_ranks(shape)), default=1))
    used = {tuple(min(rank, limit) for limit in useful_ranks(shape)) for shape in shapes}
    # One list of ranks serves trains of one length only; elsewhere a bond may have columns of zeros.
    limits = used.pop() if len(used) == 1 else ()
    tt_rank = list(limits) if any(limit < rank for limit in limits) else rank
    cores: dict[str, torch.Tensor] = {}
    errors: dict[str, float] = {}
    for name, (left, right) in updates.items():
        down, up = pairs[name]
        first, second = nearest_factors(
            left, right, down.modes[: down.boundary], up.modes[up.boundary :], rank
        )
        trains = {
            "A": _train(_filled(first, (len(first), bottleneck)), down, tt_rank),
            "B": _train(_filled(second, (bottleneck, second.shape[1])), up, tt_rank),
        }
        for side, train in trains.items():
            cores |= {
                f"{PREFIX}{name}.loretta_rep_{side}.core{index}": core for index, core in enumerate(train)
            }
        matrices = [
            contract_dense([core.double() for core in train], shape.in_features, shape.out_features)
            for train, shape in zip(trains.values(), (down, up), strict=True)
        ]
        errors[name] = relative_error(left, right, matrices[0], matrices[1])
    return RepForm(_rep_config(config, updates, shapes, bottleneck, tt_rank), cores, errors, rank)


def _check_plain(config: LoraConfig) -> None:
    for field, said in _REFUSED.items():
        if getattr(config, field, None):
            raise ConfigError(
                f"The LoRA has {said}; rep holds updates of linear layers that are products of two matrices.",
                hint="Give a LoRA trained without that setting.",
            )
    if config.bias != "none":
        raise ConfigError(
            f"The LoRA trained biases of the base model (bias={config.bias!r}), which would be lost.",
            hint="Give a LoRA trained with bias='none'.",
        )
    start = config.init_lora_weights
    if start not in _KEEP_THE_BASE:
        raise ConfigError(
            f"The LoRA began with init_lora_weights={start!r}, which changes the base model each time it is "
            "loaded, so its update is not what the file holds.",
            hint="Save it with path_initial_model_for_weight_conversion, as PEFT's documentation says.",
        )


def _check_other(key: str, config: LoraConfig) -> None:
    """Refuse a tensor that belongs neither to a linear layer nor to a module saved whole."""
    name = key.removeprefix(PREFIX)
    # PEFT matches by the end of a name, dot or not: `classifier` takes `pre_classifier` too.
    if any(f"{module}." in name for module in config.modules_to_save or ()):
        return
    if "lora_" in name:
        raise ConfigError(
            f"The LoRA has {name}, which is not of a linear layer; rep stands at linear layers only.",
            hint="Give a LoRA without embeddings and convolutions among its target_modules.",
        )
    raise ConfigError(
        f"The file of the LoRA holds {name.replace('.base_layer.', '.')} of the base model, which is none of "
        "its modules_to_save.",
        hint="PEFT saves embeddings and the output layer with a LoRA that stands there, or after the "
        "vocabulary was resized. If they are as in the base model, load the LoRA with PEFT and save it with "
        "save_pretrained(..., save_embedding_layers=False); else save the base model with them first.",
    )


def _update(name: str, pair: Mapping[str, torch.Tensor], config: LoraConfig) -> Update:
    if len(pair) < 2:
        raise ConfigError(
            f"The LoRA has only lora_{next(iter(pair))} of the layer {name}, not both matrices."
        )
    down, up = pair["A"].double(), pair["B"].double()
    ranks, alphas = config.rank_pattern or {}, config.alpha_pattern or {}
    rank = ranks.get(get_pattern_key(list(ranks), name), config.r)
    if down.shape[0] != rank or up.shape[1] != rank:
        raise ConfigError(
            f"The matrices of the layer {name} have the rank {down.shape[0]} and {up.shape[1]}; the LoRA's "
            f"config says {rank}.",
            hint="The adapter_config.json is not the one that was saved with these tensors.",
        )
    if not (torch.isfinite(down).all() and torch.isfinite(up).all()):
        raise ConfigError(f"The LoRA has numbers that are not finite, in the layer {name}.")
    alpha = alphas.get(get_pattern_key(list(alphas), name), config.lora_alpha)
    scale = alpha / (rank**0.5 if config.use_rslora else rank)
    return down.T, up.T * scale


def _aligned(rows: int, columns: int) -> ModeShape:
    """The modes that a new adapter would have, or balanced ones where the printed ones are not aligned."""
    shape = choose_mode_shape(rows, columns)
    if shape.boundary is not None:
        return shape
    return ModeShape(rows, columns, balanced_modes(rows)[::-1] + balanced_modes(columns))


def _filled(matrix: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """The tensor with zeros behind, up to a size."""
    filled = matrix.new_zeros(size)
    filled[tuple(slice(length) for length in matrix.shape)] = matrix
    return filled


def _train(matrix: torch.Tensor, shape: ModeShape, tt_rank: int | list[int]) -> list[torch.Tensor]:
    """The cores of a matrix that has these ranks already, in fp32, with zeros up to the adapter's sizes."""
    ranks = spread_rank(shape.modes, tt_rank)
    sizes = zip(ranks[:-1], shape.modes, ranks[1:], strict=True)
    found = tt_svd(matrix, shape, ranks)
    return [_filled(core, size).float() for core, size in zip(found, sizes, strict=True)]


def _rep_config(
    config: LoraConfig,
    updates: Mapping[str, Update],
    shapes: set[ModeShape],
    bottleneck: int,
    tt_rank: int | list[int],
) -> LorettaRepConfig:
    own = {
        f"{shape.in_features}x{shape.out_features}": list(shape.modes)
        for shape in shapes
        if shape != choose_mode_shape(shape.in_features, shape.out_features)
    }
    return LorettaRepConfig(
        r=bottleneck,
        alpha=float(bottleneck),
        tt_rank=tt_rank,
        preset="standard",
        train_norms=False,
        dropout=config.lora_dropout,
        mode_shapes=own or None,
        target_modules=_targets(config, updates),
        modules_to_save=list(dict.fromkeys(config.modules_to_save or ())) or None,
        task_type=config.task_type,
        revision=config.revision,
    )


def _targets(config: LoraConfig, updates: Mapping[str, Update]) -> list[str]:
    """The LoRA's own list of names where it says it all, else the whole names of its layers."""
    asked = config.target_modules
    is_list = isinstance(asked, (list, set, tuple))
    if not is_list or config.layers_to_transform is not None or config.exclude_modules:
        return sorted(updates)
    named = [name for name in asked or () if any(_ends(layer, name) for layer in updates)]
    if not all(any(_ends(layer, name) for name in named) for layer in updates):
        return sorted(updates)
    return sorted(named)


def _ends(layer: str, name: str) -> bool:
    """Whether a layer is matched by a name, as PEFT does it."""
    return f".{layer}".endswith(f".{name}")
