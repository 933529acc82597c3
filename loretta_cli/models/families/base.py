"""What the project knows of a model family: where adapters go and which modules are norms and head.

Pure data, no torch: names are suffixes of module names, as PEFT matches ``target_modules``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from loretta_cli.models.outline import Form, OutlineFunction

Placement = Literal["sublayer", "mlp"]


@dataclass(frozen=True, slots=True)
class AdapterSites:
    """Where bottleneck adapters (adp) stand.

    Args:
        output: Linear layers whose output passes through an adapter.
        input: Linear layers whose input passes through an adapter.
        exclude: Names that the suffixes above match and must not.
    """

    output: tuple[str, ...] = ()
    input: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """The sequence-classification head of a family.

    Args:
        modules: Modules of the head that a base checkpoint may lack; all of them are always saved.
        output: The last linear layer, which maps to the labels.
        dense: The square linear layer before it, which the paper replaces by a tensor train, or None.
    """

    modules: tuple[str, ...]
    output: str
    dense: str | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """One model family.

    Args:
        name: As messages say it.
        model_types: Values of ``config.model_type`` in transformers.
        form: How its models meet a task when nothing is asked: a classification head, or a prompt.
        rep_targets: Linear layers that rep reparameterises: query and value, or the fused projection.
        sites: Placement name to the sites of adp.
        paper_placement: The placement of the paper's own runs.
        norms: Normalisation layers, which the ``paper`` preset trains.
        head: The classification head.
        outline: The modules of its models, for counting without building them.
        shares_blocks: Whether all its blocks are one in memory, so that none can be adapted alone.
        keeps_weights_as_in_out: Whether its linear layers are ``Conv1D``, of weights (in, out).
    """

    name: str
    model_types: tuple[str, ...]
    form: Form
    rep_targets: tuple[str, ...]
    sites: Mapping[Placement, AdapterSites]
    paper_placement: Placement
    norms: tuple[str, ...]
    head: Head
    outline: OutlineFunction
    shares_blocks: bool = False
    keeps_weights_as_in_out: bool = False
