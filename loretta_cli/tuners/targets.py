"""Which modules an adapter matches, and what to say when it matches nothing or only part of a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from peft import PeftConfig, PeftModel, get_peft_model
from peft.utils.error import NoMatchingPeftModuleError
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from loretta_cli.errors import LorettaError, ModelError


class TargetModulesError(ModelError, ValueError):
    """``target_modules`` does not fit the model. A ``ValueError`` too, as PEFT's callers expect."""


def candidate_names(model: nn.Module) -> list[str]:
    """Last names of the linear layers of a model, those that a target list could hold, sorted."""
    return sorted(
        {
            name.removesuffix(".base_layer").removesuffix(".original_module").rpartition(".")[2]
            for name, module in model.named_modules()
            if isinstance(module, (nn.Linear, Conv1D))
            and ".loretta_" not in name
            and ".modules_to_save." not in name
        }
    )


def check_every_target_matches(targets: object, module_names: Iterable[str], model: nn.Module) -> None:
    """Refuse a target list of which some or all names match no module.

    Args:
        targets: ``target_modules`` of a config; regular expressions are PEFT's to judge.
        module_names: Names of the modules below ``model``.
        model: For the list of candidates.

    Raises:
        TargetModulesError: Naming the part that matches nothing, and the candidates.
    """
    if not isinstance(targets, (list, set, tuple)):
        return
    names = list(module_names)
    missing = sorted(
        target
        for target in targets
        if not any(name == target or name.endswith(f".{target}") for name in names)
    )
    if missing:
        part = "None" if len(missing) == len(targets) else "Only a part"
        raise TargetModulesError(
            f"{part} of the target modules {sorted(targets)} exist in the model: {missing} not found in the "
            "base model. Please check the target modules and try again.",
            hint=f"Linear layers of this model: {', '.join(candidate_names(model)) or 'none'}.",
        )


def check_layers(layers: int | Sequence[int] | None, count: int | None) -> None:
    """Refuse ``layers_to_transform`` beyond the last block of the model.

    Raises:
        TargetModulesError: Naming the indices that do not exist.
    """
    asked = [layers] if isinstance(layers, int) else list(layers or ())
    beyond = [layer for layer in asked if count is not None and layer >= count]
    if beyond:
        raise TargetModulesError(
            f"layers_to_transform names the layers {beyond}, but the last layer of the model is "
            f"{(count or 0) - 1}."
        )


def missing_targets(model: nn.Module, model_type: str | None) -> TargetModulesError:
    """The error for a model of unknown family when no targets were given."""
    return TargetModulesError(
        f"The model family {model_type or 'of this model'!r} is not known, so it is not known which layers "
        "to adapt. Please specify `target_modules`.",
        hint=f"Linear layers of this model: {', '.join(candidate_names(model)) or 'none'}; "
        "for example adapter.target_modules=[name, name].",
    )


def insert_adapter(model: nn.Module, config: PeftConfig) -> PeftModel:
    """Put a new adapter of any method into a model.

    Raises:
        LorettaError: If it does not fit the model; PEFT's complaint where our own checks have none.
    """
    check_layers(
        getattr(config, "layers_to_transform", None),
        getattr(getattr(model, "config", None), "num_hidden_layers", None),
    )
    try:
        return cast("PeftModel", get_peft_model(cast("PreTrainedModel", model), config))
    except LorettaError:
        raise
    except NoMatchingPeftModuleError as error:
        raise TargetModulesError(
            f"No module of the model is adapted with {_targeting(config)}.",
            hint=f"Linear layers of this model: {', '.join(candidate_names(model)) or 'none'}.",
        ) from error
    except ValueError as error:
        problem = " ".join(str(error).split())
        raise ModelError(f"The adapter does not fit the model: {problem}") from error


def _targeting(config: Any) -> str:
    """Those settings that choose modules, as a recipe has them."""
    values = []
    for name in ("target_modules", "exclude_modules", "layers_to_transform"):
        value = getattr(config, name, None)
        if value:
            values.append(f"adapter.{name}={sorted(value) if isinstance(value, set) else value}")
    return " and ".join(values)
