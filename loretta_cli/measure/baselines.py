"""The methods that adp and rep are compared with, counted by formula: no torch, no PEFT.

Each formula is that of the method's paper with the defaults of PEFT, or of LoRETTA's experiments where PEFT
has none; the tests hold them equal to PEFT's own models. A new classification head trains with each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from loretta_cli.baseline_defaults import (
    LORA_RANK,
    PREFIX_TOKENS,
    PROMPT_TOKENS,
    VERA_RANK,
    dense_bottleneck,
    feed_forward_outputs,
    keys_and_values,
)
from loretta_cli.config import AdapterSettings
from loretta_cli.measure.parameters import FLOAT32_BYTES, NO_PARTS, ParameterCount
from loretta_cli.measure.subject import Subject, lies_in
from loretta_cli.models.dimensions import hidden_size, num_layers


def count_baseline(method: str, settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """The count of a method that is not ours.

    Args:
        method: A name in :data:`BASELINES`.
        settings: Its ``bottleneck`` and ``target_modules`` are read, where the method has them.
        subject: The model.

    Returns:
        The count; None where the method does not fit the model or the settings.
    """
    if method not in BASELINES:
        return None
    return BASELINES[method](settings, subject)


def given_targets(settings: AdapterSettings) -> tuple[str, ...]:
    """The names in ``target_modules``, if a list was given."""
    targets = settings.target_modules
    return () if targets is None or isinstance(targets, str) else tuple(targets)


def _full(settings: AdapterSettings, subject: Subject) -> ParameterCount:
    total = subject.total
    return ParameterCount(total, total, {**NO_PARTS, "base": total}, FLOAT32_BYTES * total, 0)


def _lora(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """``r (in + out)`` a layer (LoRA, Section 4.1)."""
    rank = settings.bottleneck or LORA_RANK
    layers = subject.matching(given_targets(settings) or subject.family.rep_targets)
    sizes = [rank * (layer.in_features + layer.out_features) for layer in layers]
    return _count(subject, sizes)


def _vera(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """``r + out`` a layer (VeRA, Section 3.3); the frozen random matrices are saved once, as PEFT does."""
    rank = settings.bottleneck or VERA_RANK
    layers = subject.matching(given_targets(settings) or subject.family.rep_targets)
    sizes = [rank + layer.out_features for layer in layers]
    shared = rank * sum(
        max((getattr(layer, side) for layer in layers), default=0) for side in ("in_features", "out_features")
    )
    return _count(subject, sizes, frozen=shared)


def _ia3(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """A vector on keys, values and the inner FFN activation ((IA)3, Section 3.3)."""
    attention = subject.matching(keys_and_values(subject.family))
    inner = subject.matching(feed_forward_outputs(subject.family))
    sizes = [layer.out_features for layer in attention] + [layer.in_features for layer in inner]
    return _count(subject, sizes) if attention and inner else None


def _adapters(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """Dense bottleneck adapters with biases (Houlsby et al.) where adp has its tensor-train ones."""
    bottleneck = settings.bottleneck or dense_bottleneck(subject.family)
    sites = subject.family.sites[subject.family.paper_placement]
    excluded = {entry.name for entry in subject.matching(sites.exclude)}
    on_input = {entry.name for entry in subject.matching(sites.input)}
    sizes, biases = [], 0
    for layer in subject.matching((*sites.output, *sites.input)):
        if layer.name not in excluded:
            width = layer.in_features if layer.name in on_input else layer.out_features
            sizes.append(2 * width * bottleneck)
            biases += width + bottleneck
    return _count(subject, sizes, biases=biases)


def _prompt(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """A row of the embedding for each virtual token (prompt tuning); PEFT has a decoder's own rows too."""
    width = hidden_size(subject.facts)
    has_both = subject.form == "prompt" and "num_decoder_layers" in subject.facts
    return None if width is None else _count(subject, [PROMPT_TOKENS * width * (2 if has_both else 1)])


def _prefix(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """Keys and values of each virtual token in every block (prefix tuning, not reparameterised)."""
    layers, width = num_layers(subject.facts), _key_width(subject)
    return _count(subject, [2 * PREFIX_TOKENS * width] * layers) if layers and width else None


def _key_width(subject: Subject) -> int | None:
    targets = subject.family.rep_targets
    if len(targets) > 1:
        keys = subject.matching(keys_and_values(subject.family)[:1])
        return keys[0].out_features if keys else None
    width, heads = hidden_size(subject.facts), subject.facts.get("num_attention_heads")
    shared = subject.facts.get("num_key_value_heads")
    return width * shared // heads if width and heads and shared else width


def _bitfit(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """Every bias of the model (BitFit), and the head."""
    head = subject.family.head.modules if subject.form == "classification" else ()
    biases = sum(entry.biases for entry in subject.modules if not lies_in(entry, head))
    return _count(subject, [], biases=biases) if biases else None


def _count(
    subject: Subject, sizes: Sequence[int], *, biases: int = 0, frozen: int = 0
) -> ParameterCount | None:
    """A count of one number of weights for each adapted layer; None if there is nothing to train."""
    cores = sum(sizes)
    trainable = cores + biases + subject.head
    if cores + biases == 0:
        return None
    return ParameterCount(
        trainable=trainable,
        total=subject.total,
        parts={**NO_PARTS, "cores": cores, "biases": biases, "head": subject.head},
        storage_bytes=FLOAT32_BYTES * (trainable + frozen),
        layers=len(sizes),
    )


BASELINES: Mapping[str, Callable[[AdapterSettings, Subject], ParameterCount | None]] = {
    "adapters": _adapters,
    "bitfit": _bitfit,
    "full": _full,
    "ia3": _ia3,
    "lora": _lora,
    "prefix": _prefix,
    "prompt": _prompt,
    "vera": _vera,
}

READS: Mapping[str, frozenset[str]] = {
    "adapters": frozenset({"bottleneck"}),
    "lora": frozenset({"alpha", "bottleneck", "dropout", "target_modules"}),
    "vera": frozenset({"bottleneck", "target_modules"}),
}
"""Adapter settings that a formula reads; the methods that are not here read none."""
