"""The facts of each family hold in a real model of that family."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torch import nn
from transformers import AutoModelForSequenceClassification
from transformers.pytorch_utils import Conv1D

from loretta_cli.models.families import FAMILIES, Family, family_of
from tests.tiny_models import LAYERS, TINY, UNKNOWN, tiny_config

MODELS = FAMILIES.names()
"""Every family has a tiny model of its name."""


def modules_of(name: str) -> dict[str, nn.Module]:
    """The modules of the tiny model with a classification head."""
    return dict(AutoModelForSequenceClassification.from_config(tiny_config(name)).named_modules())


def matches(modules: dict[str, nn.Module], suffix: str) -> list[nn.Module]:
    return [module for name, module in modules.items() if name == suffix or name.endswith(f".{suffix}")]


def test_every_family_has_a_tiny_model_to_be_tested_on() -> None:
    assert set(MODELS) <= set(TINY)


@pytest.mark.parametrize("name", MODELS)
def test_a_family_is_found_by_the_model_type_of_its_models(name: str) -> None:
    family = family_of(tiny_config(name).model_type)
    assert family is FAMILIES.get(name)
    assert family is not None
    assert family.name == name


@pytest.mark.parametrize("model_type", [None, UNKNOWN, "gemma3", ""])
def test_other_model_types_have_no_family(model_type: str | None) -> None:
    assert family_of(model_type) is None


@pytest.mark.parametrize("name", MODELS)
def test_every_named_target_is_a_linear_layer_of_each_block(name: str) -> None:
    family: Family = FAMILIES.get(name)
    modules = modules_of(name)
    for suffix in (
        *family.rep_targets,
        *(
            suffix
            for sites in family.sites.values()
            for suffix in (*sites.output, *sites.input, *sites.exclude)
        ),
    ):
        found = matches(modules, suffix)
        blocks = 1 if family.shares_blocks else LAYERS
        # A block may have an attention and an FFN of that name, the decoder's of T5 two attentions.
        assert len(found) in (blocks, 2 * blocks, 3 * blocks), suffix
        assert all(isinstance(module, (nn.Linear, Conv1D)) for module in found), suffix


@pytest.mark.parametrize("name", MODELS)
def test_the_named_norms_are_all_norms_of_the_model(name: str) -> None:
    family: Family = FAMILIES.get(name)
    modules = modules_of(name)
    named = {
        id(module)
        for suffix in family.norms
        for module in matches(modules, suffix)
        if not isinstance(module, nn.Identity)  # in the first block of ModernBERT
    }
    norms = {id(module) for module in modules.values() if "Norm" in type(module).__name__}
    assert named == norms


@pytest.mark.parametrize("name", MODELS)
def test_the_named_head_is_in_the_model_and_ends_in_the_labels(name: str) -> None:
    head = FAMILIES.get(name).head
    modules = modules_of(name)
    assert set(head.modules) <= set(modules)
    output = modules[head.output]
    assert isinstance(output, nn.Linear)
    assert output.out_features == 3
    if head.dense is not None:
        dense = modules[head.dense]
        assert isinstance(dense, nn.Linear)
        assert dense.in_features == dense.out_features


@pytest.mark.parametrize("name", MODELS)
def test_the_placement_of_the_paper_is_one_of_the_family(name: str) -> None:
    family: Family = FAMILIES.get(name)
    assert family.paper_placement in family.sites


def test_looking_a_family_up_needs_no_torch() -> None:
    program = (
        "import sys; from loretta_cli.models.families import family_of; "
        "assert family_of('bert').name == 'bert'; sys.exit(int('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
