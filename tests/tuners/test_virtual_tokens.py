"""Prompt tuning, prefix tuning and p-tuning: where they work, and that p-tuning can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file

from loretta_cli.errors import ModelError
from loretta_cli.tuners.targets import insert_adapter
from loretta_cli.tuners.virtual_tokens import ENCODER_PREFIX, TOKENS, check_virtual_tokens, made_tokens
from tests.tiny_models import TASK_TYPES, same_base_other_head, tiny_model
from tests.tuners.adapters import copy_of_state, inputs_of, logits, train
from tests.tuners.baselines import with_method

METHODS = ("p-tuning", "prefix", "prompt")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["bert", "falcon", "gpt2", "roberta", "t5"])
def test_all_of_a_method_trains_and_a_saved_one_gives_the_same(
    family: str, method: str, tmp_path: Path
) -> None:
    state = copy_of_state(tiny_model(family))
    model = with_method(family, method)
    trainable = {name for name, value in model.named_parameters() if value.requires_grad}
    assert train_on(model, family) == trainable
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    loaded = peft.PeftModel.from_pretrained(same_base_other_head(family, state), tmp_path).eval()

    torch.testing.assert_close(logits(loaded), logits(model), rtol=0, atol=1e-6)


def train_on(model: Any, family: str) -> set[str]:
    """Train without language-model labels, which PEFT lengthens for some methods and not for others."""
    if TASK_TYPES[family] == "SEQ_CLS":
        return train(model, family)
    optimizer = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], lr=0.02)
    reached = set()
    for _ in range(3):
        optimizer.zero_grad()
        model(**inputs_of(model)).logits.square().mean().backward()
        reached |= {
            name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()
        }
        optimizer.step()
    return reached


@pytest.mark.parametrize("family", ["albert", "electra"])
def test_the_tokens_are_as_wide_as_the_word_embeddings(family: str) -> None:
    base = tiny_model(family)
    width = base.get_input_embeddings().embedding_dim
    model = with_method(family, "prompt", model=base, virtual_tokens=3)

    assert width != base.config.hidden_size
    assert model.prompt_encoder["default"].embedding.weight.shape == (3, width)


def test_a_prompt_starts_as_the_embeddings_of_words() -> None:
    base = tiny_model("bert")
    words = base.get_input_embeddings().weight
    model = with_method("bert", "prompt", model=base)

    for token in model.prompt_encoder["default"].embedding.weight:
        assert (words == token).all(dim=1).any()


@pytest.mark.parametrize("family", ["albert", "deberta", "distilbert", "modernbert", "mpnet"])
def test_prefix_is_refused_where_a_model_takes_no_keys(family: str) -> None:
    with pytest.raises(ModelError, match="prefix does not work with models of type"):
        with_method(family, "prefix")


def test_a_model_that_fails_with_virtual_tokens_is_refused_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = tiny_model("bert")

    def fail(*arguments: Any, **options: Any) -> None:
        raise NotImplementedError("no embeddings, please.")

    monkeypatch.setattr(base, "forward", fail)
    with pytest.raises(ModelError, match=r"prompt does not work with .* bert .*: no embeddings, please"):
        with_method("bert", "prompt", model=base)


def test_tokens_that_a_model_leaves_out_are_noticed() -> None:
    base = tiny_model("bert")
    sizes = {"token_dim": 16, "num_layers": 1, "num_attention_heads": 2, "num_transformer_submodules": 1}
    carried = peft.PeftModel(base, peft.PromptTuningConfig(num_virtual_tokens=4, **sizes))
    base.classifier.requires_grad_(True)  # a head trains beside the tokens, so the loss has a gradient
    with pytest.raises(ModelError, match="prompt has no effect"):
        check_virtual_tokens(carried)


def test_a_masked_language_model_gets_no_virtual_tokens() -> None:
    config = peft.PromptTuningConfig(num_virtual_tokens=4)  # without a task type, as in that form
    with pytest.raises(ModelError, match="prompt does not work with a masked language model"):
        insert_adapter(tiny_model("bert"), config)


def test_p_tuning_is_taken_up_again_where_it_was(tmp_path: Path) -> None:
    state = copy_of_state(tiny_model("bert"))
    model = with_method("bert", "p-tuning")
    train(model, "bert")
    expected = logits(model)
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    train(model, "bert", seed=9)
    assert not torch.equal(logits(model), expected)

    model.load_adapter(tmp_path, "default")
    assert torch.equal(logits(model.eval()), expected)

    loaded = peft.PeftModel.from_pretrained(same_base_other_head("bert", state), tmp_path)
    torch.testing.assert_close(logits(loaded.eval()), expected, rtol=0, atol=1e-6)
    assert "prompt_embeddings" in load_file(tmp_path / "adapter_model.safetensors")


@pytest.mark.parametrize("kind", ["MLP", "LSTM"])
def test_the_saved_tokens_follow_from_the_saved_layers(kind: str, tmp_path: Path) -> None:
    base = tiny_model("bert")
    config = peft.PromptEncoderConfig(
        task_type="SEQ_CLS", num_virtual_tokens=4, encoder_hidden_size=6, encoder_reparameterization_type=kind
    )
    model: Any = insert_adapter(base, config)
    expected = model.get_prompt_embedding_to_save("default")
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    saved = load_file(tmp_path / "adapter_model.safetensors")

    torch.testing.assert_close(saved[TOKENS], expected, rtol=0, atol=1e-6)
    before = torch.get_rng_state()
    read: Any = peft.PeftConfig.from_pretrained(str(tmp_path))
    assert torch.equal(made_tokens(read, saved), saved[TOKENS])
    assert torch.equal(torch.get_rng_state(), before)
    saved[f"{ENCODER_PREFIX}embedding.weight"] += 1
    assert not torch.equal(made_tokens(read, saved), saved[TOKENS])
