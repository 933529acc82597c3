"""From a recipe's adapter settings to a PEFT config, for each method; no setting is read and ignored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from peft import LoraConfig, PeftConfig, TaskType

from loretta_cli.config import AdapterSettings
from loretta_cli.errors import ConfigError
from loretta_cli.models.families import family_of
from loretta_cli.tuners.adp import LorettaAdpConfig
from loretta_cli.tuners.rep import LorettaRepConfig

_EVERY = frozenset(
    {"method", "bottleneck", "alpha", "dropout", "target_modules", "exclude_modules", "layers_to_transform"}
)
_TENSOR_TRAIN = _EVERY | {"preset", "tt_rank", "mode_shapes", "head", "train_norms"}


@dataclass(frozen=True, slots=True)
class _Method:
    """One method: which settings it reads, and how it makes a PEFT config of them."""

    reads: frozenset[str]
    make: Callable[[dict[str, Any], str | None], PeftConfig]


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
            hint=f"Remove it. {settings.method} has: {', '.join(sorted(method.reads - {'method'}))}.",
        )
    config = method.make({**given, "task_type": task_type}, model_type)
    _save_head(config, model_type)
    _save_new_modules(config, new_modules, model_type)
    return config


def _rep(given: dict[str, Any], model_type: str | None) -> PeftConfig:
    if "bottleneck" in given:
        given["r"] = given.pop("bottleneck")
    if given.pop("init", "zero") == "noise-reduction":
        given["init_weights"] = "noise-reduction"
    return LorettaRepConfig(**given)


def _adp(given: dict[str, Any], model_type: str | None) -> PeftConfig:
    if "bias" in given:
        given["adapter_bias"] = given.pop("bias")
    return LorettaAdpConfig(**given)


def _lora(given: dict[str, Any], model_type: str | None) -> PeftConfig:
    """PEFT's LoRA with the paper's defaults: rank 8, alpha 16, on query and value."""
    if isinstance(given.get("target_modules"), str) and "layers_to_transform" in given:
        raise ConfigError(
            "With lora, adapter.layers_to_transform works with a list in adapter.target_modules only, "
            f"found {given['target_modules']!r}.",
            hint="Write adapter.target_modules=[name, name], or leave adapter.layers_to_transform out.",
        )
    rank = given.pop("bottleneck", 8)
    family = family_of(model_type)
    if "target_modules" not in given and family is not None:
        given["target_modules"] = list(family.rep_targets)
    if "dropout" in given:
        given["lora_dropout"] = given.pop("dropout")
    if family is not None and family.keeps_weights_as_in_out:
        given["fan_in_fan_out"] = True
    return LoraConfig(r=rank, lora_alpha=given.pop("alpha", 2 * rank), **given)


def outside_head(new_modules: tuple[str, ...], model_type: str | None) -> list[str]:
    """The modules that a checkpoint lacks, without those of the classification head, which it may lack."""
    family = family_of(model_type)
    head = family.head.modules if family is not None else ("classifier", "score")
    return [
        name
        for name in new_modules
        if not any(name == module or name.startswith(f"{module}.") for module in head)
    ]


def _save_head(config: Any, model_type: str | None) -> None:
    """Have LoRA train and save the whole head of a known family; PEFT knows the usual names only."""
    family = family_of(model_type)
    if isinstance(config, LoraConfig) and config.task_type == TaskType.SEQ_CLS and family is not None:
        config.modules_to_save = list(family.head.modules)


def _save_new_modules(config: Any, new_modules: tuple[str, ...], model_type: str | None) -> None:
    """Have modules that the checkpoint lacks saved with the adapter.

    Those of a classifier of unknown family are its head and train too; others stay as they were drawn, but
    for LoRA, which can save only what it trains.
    """
    others = outside_head(new_modules, model_type)
    is_unknown_head = config.task_type == TaskType.SEQ_CLS and family_of(model_type) is None
    if isinstance(config, LoraConfig) or is_unknown_head:
        config.modules_to_save = list(dict.fromkeys([*(config.modules_to_save or ()), *others])) or None
    else:
        config.frozen_modules_to_save = [*(config.frozen_modules_to_save or ()), *others] or None


_METHODS = {
    "adp": _Method(_TENSOR_TRAIN | {"bias", "placement", "activation"}, _adp),
    "lora": _Method(_EVERY, _lora),
    "rep": _Method(_TENSOR_TRAIN | {"init"}, _rep),
}
