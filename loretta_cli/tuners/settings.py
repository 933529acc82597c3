"""From a recipe's adapter settings to a PEFT config, for each method; no setting is read and ignored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from peft import PeftConfig, TaskType

from loretta_cli.baseline_defaults import virtual_tokens
from loretta_cli.config import AdapterSettings
from loretta_cli.errors import ConfigError
from loretta_cli.models.families import Family, family_of
from loretta_cli.tuners import baselines
from loretta_cli.tuners.adp import LorettaAdpConfig
from loretta_cli.tuners.config import TensorTrainConfig
from loretta_cli.tuners.rep import LorettaRepConfig
from loretta_cli.tuners.selected import SelectedConfig

_TARGETS = frozenset({"bottleneck", "dropout", "target_modules", "layers_to_transform"})
_EVERY = _TARGETS | {"alpha", "exclude_modules"}
_BOTTLENECK = frozenset({"bias", "placement", "activation", "head", "train_norms"})
_TENSOR_TRAIN = _EVERY | {"preset", "tt_rank", "mode_shapes", "head", "train_norms"}


@dataclass(frozen=True, slots=True)
class _Method:
    """One method: which settings it reads beside its name, and how it makes a PEFT config of them."""

    reads: frozenset[str]
    make: Callable[[dict[str, Any], Family | None], PeftConfig]


def make_peft_config(
    settings: AdapterSettings,
    *,
    task_type: str | None,
    model_type: str | None,
    new_modules: tuple[str, ...] = (),
) -> PeftConfig:
    """The PEFT config of an adapter.

    Args:
        settings: The recipe's adapter section.
        task_type: PEFT's ``SEQ_CLS`` or ``CAUSAL_LM``.
        model_type: ``config.model_type`` of the base model.
        new_modules: Modules that the checkpoint lacks; saved with the adapter, whatever trains.

    Raises:
        ConfigError: If a setting was given that the method does not read.
    """
    method = _METHODS[settings.method]
    given = settings.given
    if ignored := [name for name in given if name not in method.reads]:
        raise ConfigError(
            f"The method {settings.method} does not have the setting adapter.{ignored[0]}.",
            hint=f"Remove it. {settings.method} has: {', '.join(sorted(method.reads)) or 'no settings'}.",
        )
    family = family_of(model_type)
    config: Any = method.make({**given, "task_type": task_type}, family)
    if task_type == TaskType.SEQ_CLS and family is not None and not isinstance(config, TensorTrainConfig):
        _train_whole(config, list(family.head.modules))
    _save_new_modules(config, new_modules, model_type)
    return cast("PeftConfig", config)


def reserved_positions(settings: AdapterSettings) -> int:
    """How many of the model's positions an adapter takes with virtual tokens."""
    return virtual_tokens(settings.method, settings.virtual_tokens)


def settings_of(method: str, config: Any) -> dict[str, Any]:
    """The adapter settings that a PEFT config stands for: those that its method reads, all filled in."""
    found: dict[str, Any] = {}
    for setting in _METHODS[method].reads:
        value = getattr(config, _FIELDS.get((method, setting), setting))
        if setting == "init":
            value = "noise-reduction" if value == "noise-reduction" else "zero"
        found[setting] = sorted(value) if isinstance(value, set) else value
    return found


def _rep(given: dict[str, Any], family: Family | None) -> PeftConfig:
    if "bottleneck" in given:
        given["r"] = given.pop("bottleneck")
    if given.pop("init", "zero") == "noise-reduction":
        given["init_weights"] = "noise-reduction"
    return LorettaRepConfig(**given)


def _adp(given: dict[str, Any], family: Family | None) -> PeftConfig:
    if "bias" in given:
        given["adapter_bias"] = given.pop("bias")
    return LorettaAdpConfig(**given)


def outside_head(new_modules: tuple[str, ...], model_type: str | None) -> list[str]:
    """The modules that a checkpoint lacks, without those of the classification head, which it may lack."""
    family = family_of(model_type)
    head = family.head.modules if family is not None else ("classifier", "score")
    return [
        name
        for name in new_modules
        if not any(name == module or name.startswith(f"{module}.") for module in head)
    ]


def _train_whole(config: Any, names: list[str]) -> None:
    """Have modules trained and saved whole."""
    kept = "modules" if isinstance(config, SelectedConfig) else "modules_to_save"
    setattr(config, kept, list(dict.fromkeys([*(getattr(config, kept, None) or ()), *names])) or None)


def _save_new_modules(config: Any, new_modules: tuple[str, ...], model_type: str | None) -> None:
    """Have modules that the checkpoint lacks saved with the adapter.

    Those of a classifier of unknown family are its head and train too; others stay as they were drawn where a
    method can save what it does not train, as ours can.
    """
    others = outside_head(new_modules, model_type)
    is_unknown_head = config.task_type == TaskType.SEQ_CLS and family_of(model_type) is None
    if not others:
        return
    if is_unknown_head or not isinstance(config, TensorTrainConfig):
        _train_whole(config, others)
    else:
        config.frozen_modules_to_save = [*(config.frozen_modules_to_save or ()), *others]


_METHODS = {
    "adapters": _Method(_EVERY | _BOTTLENECK, baselines.adapters),
    "adp": _Method(_TENSOR_TRAIN | _BOTTLENECK, _adp),
    "bitfit": _Method(frozenset(), baselines.bitfit),
    "full": _Method(frozenset(), baselines.full),
    "head": _Method(frozenset(), baselines.head),
    "ia3": _Method(frozenset(), baselines.ia3),
    "lora": _Method(_EVERY, baselines.lora),
    "p-tuning": _Method(frozenset({"bottleneck", "virtual_tokens"}), baselines.p_tuning),
    "prefix": _Method(frozenset({"virtual_tokens"}), baselines.prefix),
    "prompt": _Method(frozenset({"virtual_tokens"}), baselines.prompt),
    "rep": _Method(_TENSOR_TRAIN | {"init"}, _rep),
    "vera": _Method(_TARGETS, baselines.vera),
}

_FIELDS = {
    ("adapters", "bias"): "adapter_bias",
    ("adp", "bias"): "adapter_bias",
    ("lora", "alpha"): "lora_alpha",
    ("lora", "bottleneck"): "r",
    ("lora", "dropout"): "lora_dropout",
    ("p-tuning", "bottleneck"): "encoder_hidden_size",
    ("p-tuning", "virtual_tokens"): "num_virtual_tokens",
    ("prefix", "virtual_tokens"): "num_virtual_tokens",
    ("prompt", "virtual_tokens"): "num_virtual_tokens",
    ("rep", "bottleneck"): "r",
    ("rep", "init"): "init_weights",
    ("vera", "bottleneck"): "r",
    ("vera", "dropout"): "vera_dropout",
}
"""(method, setting) to the field of its PEFT config, where that has another name."""
