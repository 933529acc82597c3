"""The methods that adp and rep are compared with, counted by formula: no torch, no PEFT.

Each formula is that of the method's paper with the defaults of PEFT, or of LoRETTA's experiments where PEFT
has none; the tests hold them equal to PEFT's own models. A new classification head trains with each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from loretta_cli.baseline_defaults import (
    LORA_RANK,
    PREFIX_ENCODERS,
    VERA_RANK,
    dense_bottleneck,
    feed_forward_outputs,
    keys_and_values,
    virtual_tokens,
)
from loretta_cli.config import AdapterSettings
from loretta_cli.measure.parameters import FLOAT32_BYTES, NO_PARTS, ParameterCount
from loretta_cli.measure.subject import Subject, lies_in
from loretta_cli.models.dimensions import embedding_size, has_one_key, hidden_size, num_layers


def count_baseline(method: str, settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """The count of a method that is not ours.

    Args:
        method: A name in :data:`BASELINES`.
        settings: Those in :data:`READS` are read.
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
    """A row of the embedding for each virtual token (prompt tuning)."""
    width, tokens = embedding_size(subject.facts), virtual_tokens("prompt", settings.virtual_tokens)
    return _before_text(subject, tokens * width) if width else None


def _p_tuning(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """The virtual tokens and three linear layers, which PEFT makes them with (p-tuning)."""
    width, tokens = embedding_size(subject.facts), virtual_tokens("p-tuning", settings.virtual_tokens)
    if not width:
        return None
    inner = settings.bottleneck or width
    rows = tokens * width
    cores = rows + width * inner + inner * inner + inner * width
    # Saved beside what trains: the tokens that come out, for PEFT to read.
    return _before_text(subject, cores, biases=2 * inner + width, frozen=rows)


def _prefix(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """Keys and values of each virtual token in every block (prefix tuning, not reparameterised)."""
    layers, width = num_layers(subject.facts), _key_width(subject)
    tokens = virtual_tokens("prefix", settings.virtual_tokens)
    if subject.family.form == "classification" and subject.family.name not in PREFIX_ENCODERS:
        return None
    return _before_text(subject, 2 * tokens * width * layers) if layers and width else None


def _before_text(subject: Subject, cores: int, *, biases: int = 0, frozen: int = 0) -> ParameterCount | None:
    """The count of virtual tokens; None for a classification head on a decoder, which does not take them."""
    if subject.form == "classification" != subject.family.form:
        return None
    return _count(subject, [cores], biases=biases, frozen=frozen, layers=0)


def _key_width(subject: Subject) -> int | None:
    targets = subject.family.rep_targets
    if len(targets) > 1:
        keys = subject.matching(keys_and_values(subject.family)[:1])
        return keys[0].out_features if keys else None
    width, heads = hidden_size(subject.facts), subject.facts.get("num_attention_heads")
    shared = 1 if has_one_key(subject.facts) else subject.facts.get("num_key_value_heads")
    return width * shared // heads if width and heads and shared else width


def _bitfit(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """Every bias of the model (BitFit), and the head."""
    head = subject.family.head.modules if subject.form == "classification" else ()
    biases = sum(entry.biases for entry in subject.modules if not lies_in(entry, head))
    return _count(subject, [], biases=biases) if biases else None


def _head(settings: AdapterSettings, subject: Subject) -> ParameterCount | None:
    """The classification head alone."""
    if not subject.head:
        return None
    parts = {**NO_PARTS, "head": subject.head}
    return ParameterCount(subject.head, subject.total, parts, FLOAT32_BYTES * subject.head, 0)


def _count(
    subject: Subject,
    sizes: Sequence[int],
    *,
    biases: int = 0,
    frozen: int = 0,
    layers: int | None = None,
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
        layers=len(sizes) if layers is None else layers,
    )


BASELINES: Mapping[str, Callable[[AdapterSettings, Subject], ParameterCount | None]] = {
    "adapters": _adapters,
    "bitfit": _bitfit,
    "full": _full,
    "head": _head,
    "ia3": _ia3,
    "lora": _lora,
    "p-tuning": _p_tuning,
    "prefix": _prefix,
    "prompt": _prompt,
    "vera": _vera,
}

READS: Mapping[str, frozenset[str]] = {
    "adapters": frozenset({"activation", "alpha", "bottleneck", "dropout"}),
    "lora": frozenset({"alpha", "bottleneck", "dropout", "target_modules"}),
    "p-tuning": frozenset({"bottleneck", "virtual_tokens"}),
    "prefix": frozenset({"virtual_tokens"}),
    "prompt": frozenset({"virtual_tokens"}),
    "vera": frozenset({"bottleneck", "dropout", "target_modules"}),
}
"""Adapter settings that a formula can follow; the methods that are not here have none."""
