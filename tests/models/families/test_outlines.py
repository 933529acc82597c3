"""Outlines against the models that transformers builds: the same modules, the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn
from transformers.pytorch_utils import Conv1D

from loretta_cli.models.families import family_of
from loretta_cli.models.outline import Form, ModuleOutline
from tests.tiny_models import FAMILIES, LABELS, OTHERS, TASK_TYPES, tiny_model


def modules_with_parameters(model: Any) -> dict[str, int]:
    """Name to numbers of every module with parameters of its own; a tied matrix counts where it is first."""
    found: dict[str, int] = {}
    for full, parameter in model.named_parameters():
        owner = full.rpartition(".")[0]
        found[owner] = found.get(owner, 0) + parameter.numel()
    return found


def outline_of(name: str, model: Any) -> list[ModuleOutline]:
    family = family_of(model.config.model_type)
    assert family is not None
    form: Form = "classification" if TASK_TYPES[name] == "SEQ_CLS" else "prompt"
    return list(family.outline(model.config.to_dict(), form, LABELS))


def linear_layers(model: Any) -> dict[str, tuple[int, int, int]]:
    """Name to in, out and biases of every linear layer, in the model's order."""
    found = {}
    for full, module in model.named_modules():
        if isinstance(module, nn.Linear):
            biases = module.bias.numel() if module.bias is not None else 0
            found[full] = (module.in_features, module.out_features, biases)
        elif isinstance(module, Conv1D):
            found[full] = (module.nx, module.nf, module.nf)
    return found


@pytest.mark.parametrize("name", [*FAMILIES, *OTHERS])
def test_an_outline_has_the_modules_and_the_numbers_of_the_model(name: str) -> None:
    model = tiny_model(name)
    outline = outline_of(name, model)

    assert {entry.name: entry.parameters for entry in outline if entry.parameters} == modules_with_parameters(
        model
    )
    assert len({entry.name for entry in outline}) == len(outline)


@pytest.mark.parametrize("name", [*FAMILIES, *OTHERS])
def test_an_outline_names_every_linear_layer_with_its_sizes(name: str) -> None:
    model = tiny_model(name)
    outline = {
        entry.name: (entry.in_features, entry.out_features, entry.biases)
        for entry in outline_of(name, model)
        if entry.kind == "linear"
    }

    assert outline == linear_layers(model)


@pytest.mark.parametrize("name", [*FAMILIES, *OTHERS])
def test_an_outline_is_in_the_order_of_the_model(name: str) -> None:
    model = tiny_model(name)
    linear = [entry.name for entry in outline_of(name, model) if entry.kind == "linear"]

    assert linear == [full for full, module in model.named_modules() if full in set(linear)]


@pytest.mark.parametrize("name", [*FAMILIES, *OTHERS])
def test_an_outline_counts_the_biases(name: str) -> None:
    model = tiny_model(name)
    biases = sum(value.numel() for full, value in model.named_parameters() if full.endswith("bias"))

    assert sum(entry.biases for entry in outline_of(name, model)) == biases
