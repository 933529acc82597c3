"""The methods that adp and rep are compared with, as PEFT configs: PEFT's own, and those made of our tuners.

Sizes and places are PEFT's defaults, or those of LoRETTA's experiments.
"""

from __future__ import annotations

from typing import Any

from peft import (
    IA3Config,
    LoraConfig,
    PeftConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    PromptTuningInit,
    TaskType,
    VeraConfig,
)

from loretta_cli.baseline_defaults import (
    LORA_RANK,
    VERA_RANK,
    VIRTUAL_TOKENS,
    dense_bottleneck,
    feed_forward_outputs,
    keys_and_values,
)
from loretta_cli.errors import ConfigError, ModelError
from loretta_cli.models.families import Family
from loretta_cli.tuners.adp import LorettaAdpConfig
from loretta_cli.tuners.selected import SelectedConfig

Given = dict[str, Any]
"""The adapter settings that were given, and ``task_type``."""


def adapters(given: Given, family: Family | None) -> PeftConfig:
    """Dense bottleneck adapters at the places of adp (Houlsby et al.); norms frozen, the model's own head."""
    if given.get("head") == "tt":
        raise ConfigError(
            "The method adapters has no tensor trains, so adapter.head=tt is not for it.",
            hint="Use adapter.head=dense or frozen.",
        )
    bottleneck = given.pop("bottleneck", None) or dense_bottleneck(family)
    if "bias" in given:
        given["adapter_bias"] = given.pop("bias")
    given.setdefault("alpha", float(bottleneck))
    if family is not None:
        given.setdefault("placement", family.paper_placement)
    return LorettaAdpConfig(projections="dense", preset="standard", bottleneck=bottleneck, **given)


def lora(given: Given, family: Family | None) -> PeftConfig:
    """PEFT's LoRA with the paper's defaults: rank 8, alpha 16, on query and value."""
    if isinstance(given.get("target_modules"), str) and "layers_to_transform" in given:
        raise ConfigError(
            "With lora, adapter.layers_to_transform works with a list in adapter.target_modules only, "
            f"found {given['target_modules']!r}.",
            hint="Write adapter.target_modules=[name, name], or leave adapter.layers_to_transform out.",
        )
    rank = given.pop("bottleneck", LORA_RANK)
    if "dropout" in given:
        given["lora_dropout"] = given.pop("dropout")
    return LoraConfig(r=rank, lora_alpha=given.pop("alpha", 2 * rank), **_on_targets(given, family))


def vera(given: Given, family: Family | None) -> PeftConfig:
    """PEFT's VeRA: trained vectors on two random matrices that all layers share."""
    if "dropout" in given:
        given["vera_dropout"] = given.pop("dropout")
    return VeraConfig(r=given.pop("bottleneck", VERA_RANK), **_on_targets(given, family))


def _on_targets(given: Given, family: Family | None) -> Given:
    """Query and value, where no targets are given and the family is known."""
    if family is not None:
        given.setdefault("target_modules", list(family.rep_targets))
        given["fan_in_fan_out"] = family.keeps_weights_as_in_out
    return given


def ia3(given: Given, family: Family | None) -> PeftConfig:
    """PEFT's (IA)3: keys, values and the inner activation of the feed-forward network."""
    if family is None:
        raise ModelError(
            "The family of this model is not known, so it is not known where ia3 stands.",
            hint="Use adp, rep, lora or vera with adapter.target_modules, or full.",
        )
    inner = feed_forward_outputs(family)
    return IA3Config(
        target_modules=[*keys_and_values(family), *inner],
        feedforward_modules=inner,
        fan_in_fan_out=family.keeps_weights_as_in_out,
        **given,
    )


def full(given: Given, family: Family | None) -> PeftConfig:
    """Every parameter of the model."""
    return SelectedConfig(parameters="all", **given)


def bitfit(given: Given, family: Family | None) -> PeftConfig:
    """Every bias (BitFit), and the classification head."""
    return SelectedConfig(parameters="biases", **given)


def head(given: Given, family: Family | None) -> PeftConfig:
    """The classification head alone, a linear probe."""
    if given["task_type"] != TaskType.SEQ_CLS:
        raise ConfigError(
            "The method head trains a classification head, and this model is used without one.",
            hint="Use --set task.form=classification, or another method.",
        )
    return SelectedConfig(parameters="none", **given)


def prefix(given: Given, family: Family | None) -> PeftConfig:
    """PEFT's prefix tuning, not reparameterised: keys and values of virtual tokens in every block."""
    return PrefixTuningConfig(**_virtual("prefix", given, family))


def prompt(given: Given, family: Family | None) -> PeftConfig:
    """PEFT's prompt tuning: embeddings of virtual tokens, which start as those of words."""
    start = PromptTuningInit.SAMPLE_VOCAB
    return PromptTuningConfig(prompt_tuning_init=start, **_virtual("prompt", given, family))


def p_tuning(given: Given, family: Family | None) -> PeftConfig:
    """PEFT's p-tuning: virtual tokens that a small network makes."""
    width = given.pop("bottleneck", None)
    return PromptEncoderConfig(encoder_hidden_size=width, **_virtual("p-tuning", given, family))


def _virtual(method: str, given: Given, family: Family | None) -> Given:
    """The settings of a method with virtual tokens.

    Raises:
        ConfigError: For a classification head on a decoder: it looks at the last token of the text, and PEFT
            does not tell it which that is.
    """
    is_encoder = family is not None and family.form == "classification"
    if given["task_type"] == TaskType.SEQ_CLS and not is_encoder:
        raise ConfigError(
            f"The method {method} with a classification head works on encoders of a known family only.",
            hint="Use --set task.form=prompt, or another method.",
        )
    return {"num_virtual_tokens": given.pop("virtual_tokens", VIRTUAL_TOKENS[method]), **given}
