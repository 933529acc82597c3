"""Which modules an adapter matches, and what to say when it matches nothing or only part of a list."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from peft import PeftConfig, PeftModel, TaskType, get_peft_model
from peft.utils.error import NoMatchingPeftModuleError
from torch import nn
from transformers import PreTrainedModel

from loretta_cli.errors import LorettaError, ModelError
from loretta_cli.models.dimensions import num_layers
from loretta_cli.models.families import family_of
from loretta_cli.models.inspection import head_modules
from loretta_cli.models.quantization import quantized_layers
from loretta_cli.tuners.config import ALL_LINEAR
from loretta_cli.tuners.proposals import candidate_names, config_of, hint_for_targets, known_layers
from loretta_cli.tuners.saved_modules import hold_copies_in_float32
from loretta_cli.tuners.virtual_tokens import check_virtual_tokens, tell_sizes


class TargetModulesError(ModelError, ValueError):
    """``target_modules`` does not fit the model. A ``ValueError`` too, as PEFT's callers expect."""


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
        near = difflib.get_close_matches(missing[0], candidate_names(model), n=1)
        part = "None" if len(missing) == len(targets) else "Only a part"
        raise TargetModulesError(
            f"{part} of the target modules {sorted(targets)} exist in the model: {missing} not found in the "
            "base model. Please check the target modules and try again.",
            hint=(f"Did you mean {near[0]!r}? " if near else "") + f"{known_layers(model)}.",
        )


def check_saved_modules(names: Iterable[str] | None, model: nn.Module) -> None:
    """Refuse an adapter that saves, and perhaps trains, modules that are quantised.

    Args:
        names: ``modules_to_save`` of a config, matched by suffix as PEFT does.
        model: The base model.

    Raises:
        TargetModulesError: Naming the quantised layers, and how to load the base without them.
    """
    suffixes = tuple(names or ())
    saved = [name for name, _ in model.named_modules() if suffixes and name.endswith(suffixes)]
    if wrong := quantized_layers(model, saved):
        raise TargetModulesError(
            f"The adapter saves {', '.join(suffixes)}, and {', '.join(wrong[:3])} of the base model "
            f"{'is' if len(wrong) == 1 else 'are'} quantised; what an adapter saves must not be.",
            hint=f"Load the base with BitsAndBytesConfig(..., llm_int8_skip_modules={[*suffixes]}).",
        )


def check_layers(layers: int | Sequence[int] | None, model_config: Mapping[str, Any]) -> None:
    """Refuse ``layers_to_transform`` beyond the last block of the model, or where blocks are shared.

    Args:
        layers: Indices of blocks, or nothing.
        model_config: The base model's config as a mapping.

    Raises:
        TargetModulesError: Naming the indices that do not exist.
    """
    asked = [layers] if isinstance(layers, int) else list(layers or ())
    family, count = family_of(model_config.get("model_type")), num_layers(model_config)
    if asked and family is not None and family.shares_blocks:
        raise TargetModulesError(
            f"layers_to_transform names the layers {asked}, but all layers of {family.name} share one block, "
            "so an adapter stands at every depth or at none.",
            hint="Leave adapter.layers_to_transform out.",
        )
    beyond = [layer for layer in asked if layer < 0 or (count is not None and layer >= count)]
    if beyond:
        last = "layers are counted from 0" if count is None else f"the last layer of the model is {count - 1}"
        raise TargetModulesError(f"layers_to_transform names the layers {beyond}, but {last}.")


def missing_targets(model: nn.Module, model_type: str | None, method: str) -> TargetModulesError:
    """The error for a model of unknown family when no targets were given: what was found, to be confirmed."""
    return TargetModulesError(
        f"The model family {model_type or 'of this model'!r} is not known, so it is not known which layers "
        "to adapt. Please specify `target_modules`.",
        hint=hint_for_targets(model, method),
    )


def insert_adapter(model: nn.Module, config: PeftConfig) -> PeftModel:
    """Put a new adapter of any method into a model.

    Raises:
        LorettaError: If it does not fit the model; PEFT's complaint where our own checks have none.
    """
    settings, model_config = cast("Any", config), config_of(model)
    check_layers(getattr(config, "layers_to_transform", None), model_config)
    _save_unknown_head(model, settings, model_config)
    if config.is_prompt_learning:
        tell_sizes(config, model)
    try:
        adapted = cast("PeftModel", get_peft_model(cast("PreTrainedModel", model), config))
    except LorettaError:
        raise
    except NoMatchingPeftModuleError as error:
        raise TargetModulesError(
            f"No module of the model is adapted with {_targeting(config)}.",
            hint=f"{_reading_of(settings.target_modules, model)}{known_layers(model)}.",
        ) from error
    except re.error as error:
        raise TargetModulesError(
            f"{_targeting(config)} is no regular expression: {error}.",
            hint=f"{_reading_of(settings.target_modules, model)}{known_layers(model)}.",
        ) from error
    except ValueError as error:
        if getattr(settings, "target_modules", "") is None:
            raise missing_targets(model, model_config.get("model_type"), "lora") from error
        problem = " ".join(str(error).split())
        raise ModelError(f"The adapter does not fit the model: {problem}") from error
    hold_copies_in_float32(adapted)
    if config.is_prompt_learning:
        check_virtual_tokens(adapted)
    return adapted


def _save_unknown_head(model: nn.Module, config: Any, model_config: Mapping[str, Any]) -> None:
    """Have the whole head of a classifier of unknown family trained and saved; PEFT knows two names only."""
    if not hasattr(config, "modules_to_save"):
        return
    if config.task_type != TaskType.SEQ_CLS or family_of(model_config.get("model_type")) is not None:
        return
    names = list(dict.fromkeys([*(config.modules_to_save or ()), *head_modules(model)]))
    inner = {name for name in names if any(name.startswith(f"{other}.") for other in names)}
    config.modules_to_save = [name for name in names if name not in inner] or None


def _reading_of(targets: object, model: nn.Module) -> str:
    """How a single text was read, and what may have been meant by it."""
    if not isinstance(targets, str):
        return ""
    if difflib.get_close_matches(targets.lower(), [ALL_LINEAR], cutoff=0.7):
        return f"Did you mean {ALL_LINEAR!r}? "
    if targets in candidate_names(model):
        return f"For the layers of that name write [{targets}]. "
    return "A single text is a regular expression of a module's whole name. "


def _targeting(config: Any) -> str:
    """Those settings that choose modules, as a recipe has them."""
    values = []
    for name in ("target_modules", "exclude_modules", "layers_to_transform"):
        value = getattr(config, name, None)
        if value:
            values.append(f"adapter.{name}={sorted(value) if isinstance(value, set) else value}")
    return " and ".join(values)
