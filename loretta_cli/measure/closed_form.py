"""Counting by formula: what a method trains on a model that is only written down (:mod:`models.outline`).

Answers the plain questions, without torch. Whatever has settings beyond those (regular expressions, chosen
layers, own modes) or is wrong in some way gets None, and is counted, or refused, on a real model without
weights; the tests hold both ways equal. Imports nothing that imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from loretta_cli.config import AdapterSettings
from loretta_cli.measure.baselines import READS, count_baseline, given_targets
from loretta_cli.measure.parameters import FLOAT32_BYTES, LayerShape, ParameterCount
from loretta_cli.measure.subject import Subject, matches
from loretta_cli.models.families import AdapterSites, Head, family_of
from loretta_cli.models.outline import Facts, Form, ModuleOutline
from loretta_cli.presets import Preset, frozen_head_modules, preset_for
from loretta_cli.tt import choose_mode_shape, count_parameters, spread_rank

T = TypeVar("T")

_TENSOR_TRAIN = READS["lora"] | {"preset", "tt_rank", "head", "train_norms"}
_READS = {**READS, "adp": _TENSOR_TRAIN | {"bias", "placement", "activation"}, "rep": _TENSOR_TRAIN}
"""Settings that a formula can follow, by method."""


def count_in_closed_form(
    method: str, settings: AdapterSettings, facts: Facts, *, form: Form, labels: int
) -> ParameterCount | None:
    """The count of a method on an architecture.

    Args:
        method: Its name.
        settings: Of the adapter.
        facts: Config of the model, ``model_type`` included.
        form: Which head the model has.
        labels: Labels of a classification head.

    Returns:
        The count, or None where no formula is known for what was asked.
    """
    family = family_of(facts["model_type"])
    if family is None or not settings.given.keys() <= _READS.get(method, frozenset()):
        return None
    if isinstance(settings.target_modules, str) or (form != family.form == "classification"):
        return None
    subject = Subject(family, facts, form, tuple(family.outline(facts, form, labels)))
    if method not in ("adp", "rep"):
        return count_baseline(method, settings, subject)
    preset = preset_for("adp" if method == "adp" else "rep", settings.preset, facts)
    return _tensor_train(subject, settings, method, preset)


def _tensor_train(
    subject: Subject, settings: AdapterSettings, method: str, preset: Preset
) -> ParameterCount | None:
    found = (_adp if method == "adp" else _rep)(subject, settings, preset)
    if found is None:
        return None
    shapes, biases, layers = found
    norms = _norms(subject) if _chosen(settings.train_norms, preset.train_norms) else 0
    head, frozen, head_shapes = 0, 0, list[LayerShape]()
    if subject.form == "classification":
        counted = _head(subject, settings, preset)
        if counted is None:
            return None
        head, frozen, head_shapes = counted
    elif settings.head is not None:
        return None
    cores = sum(shape.parameters for shape in shapes) - biases
    trainable = cores + biases + norms + head
    return ParameterCount(
        trainable=trainable,
        total=subject.total,
        parts={"cores": cores, "biases": biases, "norms": norms, "head": head},
        storage_bytes=FLOAT32_BYTES * (trainable + frozen),
        layers=layers,
        shapes=(*shapes, *head_shapes),
    )


def _rep(
    subject: Subject, settings: AdapterSettings, preset: Preset
) -> tuple[list[LayerShape], int, int] | None:
    """Two trains a layer: ``in x r`` and ``r x out``. Shapes, biases (none), layers."""
    r, rank = _chosen(settings.bottleneck, preset.bottleneck), _rank(settings, preset)
    layers = subject.matching(given_targets(settings) or subject.family.rep_targets)
    shapes = []
    for layer in layers:
        for name, rows, columns in (("A", layer.in_features, r), ("B", r, layer.out_features)):
            shapes.append(_train(f"{layer.name}.loretta_rep_{name}.default", rows, columns, rank, 0))
    return (shapes, 0, len(layers)) if layers else None


def _adp(
    subject: Subject, settings: AdapterSettings, preset: Preset
) -> tuple[list[LayerShape], int, int] | None:
    """Two trains with biases an adapter: ``width x bottleneck`` and back. Shapes, biases, layers."""
    bottleneck, rank = (
        _chosen(settings.bottleneck, preset.bottleneck),
        _rank(settings, preset),
    )
    sites = subject.family.sites[settings.placement or preset.placement]
    has_bias = _chosen(settings.bias, preset.adapter_bias)
    shapes, biases = [], 0
    layers = _sites(subject, settings, sites)
    for layer in layers:
        width = layer.in_features if matches(layer, sites.input) else layer.out_features
        for name, rows, columns in (("down", width, bottleneck), ("up", bottleneck, width)):
            bias = columns if has_bias else 0
            biases += bias
            shapes.append(_train(f"{layer.name}.loretta_adp_{name}.default", rows, columns, rank, bias))
    return (shapes, biases, len(layers)) if layers else None


def _sites(subject: Subject, settings: AdapterSettings, sites: AdapterSites) -> list[ModuleOutline]:
    """The layers that carry an adapter: those of the placement, unless targets were given."""
    if targets := given_targets(settings):
        return subject.matching(targets)
    found = subject.matching((*sites.output, *sites.input))
    return [layer for layer in found if not matches(layer, sites.exclude)]


def _norms(subject: Subject) -> int:
    return sum(
        entry.parameters
        for entry in subject.modules
        if entry.kind == "norm" and entry.name.endswith(subject.family.norms)
    )


def _head(
    subject: Subject, settings: AdapterSettings, preset: Preset
) -> tuple[int, int, list[LayerShape]] | None:
    """Numbers of the head that train, numbers saved frozen, and the train in it."""
    head: Head = subject.family.head
    kind = settings.head or preset.head
    frozen = subject.within(
        frozen_head_modules(head, kind, preset=preset.name, train_output=preset.train_output)
    )
    whole = subject.within(head.modules)
    if kind != "tt":
        return whole - frozen, frozen, []
    dense = next((entry for entry in subject.modules if entry.name == head.dense), None)
    if dense is None:
        return None
    owner, dot, rest = dense.name.partition(".")
    train = _train(
        f"{owner}.modules_to_save.default{dot}{rest}",
        dense.in_features,
        dense.out_features,
        _rank(settings, preset),
        dense.out_features,
    )
    return whole - dense.parameters + train.parameters - frozen, frozen, [train]


def _train(name: str, rows: int, columns: int, tt_rank: int | Sequence[int], bias: int) -> LayerShape:
    shape = choose_mode_shape(rows, columns)
    ranks = spread_rank(shape.modes, tt_rank)
    return LayerShape(name, str(shape), ranks, count_parameters(shape.modes, ranks) + bias)


def _rank(settings: AdapterSettings, preset: Preset) -> int | Sequence[int]:
    return preset.tt_rank if settings.tt_rank is None else settings.tt_rank


def _chosen(given: T | None, default: T) -> T:
    return default if given is None else given
