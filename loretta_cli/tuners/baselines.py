"""PEFT's own methods, with its defaults or those of LoRETTA's experiments, to compare adp and rep with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from peft import IA3Config, PeftConfig, PrefixTuningConfig, PromptTuningConfig, VeraConfig

from loretta_cli.baseline_defaults import (
    PREFIX_TOKENS,
    PROMPT_TOKENS,
    VERA_RANK,
    feed_forward_outputs,
    keys_and_values,
)
from loretta_cli.config import AdapterSettings
from loretta_cli.models.families import Family


def make_baseline_config(
    method: str, family: Family, task_type: str, settings: AdapterSettings
) -> PeftConfig:
    """The PEFT config of a method.

    Args:
        method: A name in :data:`BASELINE_CONFIGS`.
        family: The family of the base model; its sites say where the method stands.
        task_type: PEFT's task type. A new classification head is trained and saved with each method.
        settings: Its ``bottleneck`` and ``target_modules`` are read by VeRA alone.
    """
    config = BASELINE_CONFIGS[method](family, task_type, settings)
    if task_type == "SEQ_CLS":
        config.modules_to_save = list(family.head.modules)
    return config


def _ia3(family: Family, task_type: str, settings: AdapterSettings) -> PeftConfig:
    inner = feed_forward_outputs(family)
    targets = [*keys_and_values(family), *inner]
    return IA3Config(
        task_type=task_type,
        target_modules=targets,
        feedforward_modules=inner,
        fan_in_fan_out=family.keeps_weights_as_in_out,
    )


def _prefix(family: Family, task_type: str, settings: AdapterSettings) -> PeftConfig:
    return PrefixTuningConfig(task_type=task_type, num_virtual_tokens=PREFIX_TOKENS)


def _prompt(family: Family, task_type: str, settings: AdapterSettings) -> PeftConfig:
    return PromptTuningConfig(task_type=task_type, num_virtual_tokens=PROMPT_TOKENS)


def _vera(family: Family, task_type: str, settings: AdapterSettings) -> PeftConfig:
    return VeraConfig(
        task_type=task_type,
        r=settings.bottleneck or VERA_RANK,
        target_modules=settings.target_modules or list(family.rep_targets),
        fan_in_fan_out=family.keeps_weights_as_in_out,
    )


BASELINE_CONFIGS: Mapping[str, Callable[[Family, str, AdapterSettings], PeftConfig]] = {
    "ia3": _ia3,
    "prefix": _prefix,
    "prompt": _prompt,
    "vera": _vera,
}
