"""Bases in many files: read, adapted, saved beside, merged and written in shards again."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch

from tests.tiny_models import model_class, tiny_model
from tests.tuners.adapters import CONFIGS, adapted, logits, saved_tensors, train

SHARD = "20KB"
families = pytest.mark.parametrize("family", ["bert", "llama"])


def sharded_base(folder: Path, family: str) -> None:
    tiny_model(family).save_pretrained(folder, max_shard_size=SHARD)
    assert len(list(folder.glob("model-*.safetensors"))) > 5


@families
@pytest.mark.parametrize("method", CONFIGS)
def test_an_adapter_on_a_base_of_many_shards_saves_and_loads(
    family: str, method: str, tmp_path: Path
) -> None:
    base, folder = tmp_path / "base", tmp_path / "adapter"
    sharded_base(base, family)
    model = adapted(family, method, "paper", model=model_class(family).from_pretrained(base))
    assert torch.equal(logits(model), logits(tiny_model(family)))
    train(model, family)
    model.save_pretrained(folder)
    loaded = peft.PeftModel.from_pretrained(model_class(family).from_pretrained(base), folder).eval()
    assert torch.equal(logits(loaded), logits(model))
    size = sum(value.numel() for value in saved_tensors(folder).values())
    assert size < 0.2 * sum(value.numel() for value in model.get_base_model().parameters())


@families
def test_a_merged_model_written_in_shards_reads_back_the_same(family: str, tmp_path: Path) -> None:
    model = adapted(family, "rep", "paper")
    train(model, family)
    expected = logits(model)
    merged = model.merge_and_unload()
    merged.save_pretrained(tmp_path, max_shard_size=SHARD)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 5
    reloaded = model_class(family).from_pretrained(tmp_path).eval()
    assert torch.equal(logits(reloaded), logits(merged))
    torch.testing.assert_close(logits(reloaded), expected, rtol=0, atol=2e-5)
