"""The preset table: what an adapter is where the user did not say. Pure data and one look-up.

``paper`` reproduces the counts of LoRETTA (Tables 1 to 3); ``standard`` is for every other model;
``lean`` trains nothing but cores, as AdaZeta does. A preset is chosen by architecture (family, hidden
size, layers), never by name, so a local folder gets the same as the hub name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from loretta_cli.errors import ConfigError
from loretta_cli.models.dimensions import hidden_size, num_layers
from loretta_cli.models.families import Family, Head, Placement, family_of
from loretta_cli.registry import suggest

Method = Literal["adp", "rep"]
HeadKind = Literal["tt", "dense", "frozen"]
PRESETS = ("auto", "paper", "standard", "lean")

PAPER_MODELS = {
    ("bert", 768, 12),
    ("deberta", 768, 12),
    ("roberta", 768, 12),
    ("llama", 4096, 32),
    ("llama", 5120, 40),
    ("llama", 8192, 80),
}
"""(family, hidden size, layers) of the models in the paper's tables."""


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings of one adapter, complete.

    Args:
        name: ``paper``, ``standard`` or ``lean``.
        reason: Why this preset was taken, as one clause.
        bottleneck: Width between the two trains (rep's ``r``).
        tt_rank: TT rank of both.
        alpha: The update is scaled by ``alpha / bottleneck``.
        dropout: Dropout before the first train.
        adapter_bias: Whether adp's projections have biases.
        train_norms: Whether the model's norms train.
        head: How the classification head is treated: its dense layer a tensor train, trained as it is,
            or frozen. All three save it.
        train_output: Whether the output layer of a ``tt`` head trains.
        placement: Where adp stands.
        activation: adp's nonlinearity.
    """

    name: str
    reason: str
    bottleneck: int
    tt_rank: int
    alpha: float
    dropout: float
    adapter_bias: bool
    train_norms: bool
    head: HeadKind
    train_output: bool
    placement: Placement
    activation: str


def preset_for(method: Method, asked: str, model_config: Mapping[str, Any]) -> Preset:
    """:func:`choose_preset` for a model's transformers config, as a mapping."""
    return choose_preset(
        method,
        asked,
        family=family_of(model_config.get("model_type")),
        hidden_size=hidden_size(model_config),
        num_layers=num_layers(model_config),
    )


def choose_preset(
    method: Method,
    asked: str,
    *,
    family: Family | None,
    hidden_size: int | None,
    num_layers: int | None,
) -> Preset:
    """The preset for a method on an architecture.

    Args:
        method: ``adp`` or ``rep``.
        asked: ``auto``, ``paper``, ``standard`` or ``lean``.
        family: The model's family, or None if it is unknown.
        hidden_size: Width of the model, or None.
        num_layers: Number of blocks, or None.

    Raises:
        ConfigError: For an unknown preset, or ``paper`` on an unknown family.
    """
    if asked not in PRESETS:
        raise ConfigError(f"Unknown preset {asked!r}.", hint=suggest(asked, PRESETS, plural="presets"))
    in_paper = family is not None and (family.name, hidden_size, num_layers) in PAPER_MODELS
    if asked == "auto":
        if in_paper:
            return _paper(method, family, hidden_size, "the paper has this model")
        return _standard(method, family, "the paper does not have this model")
    if asked == "paper":
        return _paper(method, family, hidden_size, "as set")
    preset = _standard(method, family, "as set")
    return preset if asked == "standard" else replace(preset, name="lean", adapter_bias=False)


def _paper(method: Method, family: Family | None, hidden_size: int | None, reason: str) -> Preset:
    """LoRETTA, Section 4 and Tables 1 to 3; ranks and bottlenecks as the printed counts prove them."""
    if family is None:
        raise ConfigError(
            "The preset 'paper' is defined for the model families of the paper only.",
            hint="Use --preset standard with --set adapter.target_modules=[...].",
        )
    head: HeadKind = "tt" if family.head.dense else "dense"
    base = replace(_standard(method, family, reason), name="paper", train_norms=True, head=head)
    if family.form == "prompt":
        rank = 5 if method == "adp" and (hidden_size or 0) <= 4096 else 8
        bottleneck = 64 if method == "adp" else 16
        dropout = 0.0 if method == "adp" else 0.05
        return replace(
            base, bottleneck=bottleneck, tt_rank=rank, alpha=_alpha(method, bottleneck), dropout=dropout
        )
    return replace(
        base,
        # The published DeBERTa rep count leaves the output layer out: it was never trained.
        train_output=not (method == "rep" and family.name == "deberta"),
    )


def _standard(method: Method, family: Family | None, reason: str) -> Preset:
    bottleneck = 64 if method == "adp" else 8
    return Preset(
        name="standard",
        reason=reason,
        bottleneck=bottleneck,
        tt_rank=5,
        alpha=_alpha(method, bottleneck),
        dropout=0.0,
        adapter_bias=True,
        train_norms=False,
        head="dense",
        train_output=True,
        placement=family.paper_placement if family is not None else "sublayer",
        activation="relu",
    )


def _alpha(method: Method, bottleneck: int) -> float:
    """Scale 1 for adp (the paper has none), 2 for rep (the reference code's 16 / 8)."""
    return float(bottleneck if method == "adp" else 2 * bottleneck)


def frozen_head_modules(head: Head, kind: HeadKind, *, preset: str, train_output: bool) -> list[str]:
    """The head modules that are saved but not trained.

    Args:
        head: The head.
        kind: How it is treated.
        preset: Name of the preset.
        train_output: Whether the output layer of a ``tt`` head trains.
    """
    if kind == "frozen":
        return list(head.modules)
    if kind == "tt":
        return [] if train_output else [head.output]
    # The model's own head trains, but for a pooler: as on BERT, whose pooler comes with the checkpoint. The
    # paper's "regular" head of DeBERTa (Table 11: 0.650M and 0.688M) trains its pooler too.
    return [] if preset == "paper" else [module for module in head.modules if module == "pooler"]
