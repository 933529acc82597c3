"""fp16 and bf16 bases: cores in fp32, outputs in the dtype of the base, also after a cast of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from tests.tiny_models import labelled_batch, same_base_other_head, tiny_model, token_batch
from tests.tuners.adapters import CONFIGS, adapted, config_for, copy_of_state, logits, train

HALF = (torch.float16, torch.bfloat16)
both_methods = pytest.mark.parametrize("method", CONFIGS)
families = pytest.mark.parametrize("family", ["bert", "llama"])
half_precision = pytest.mark.parametrize("dtype", HALF, ids=["float16", "bfloat16"])


def half(family: str, method: str, dtype: torch.dtype, **settings: Any) -> Any:
    return adapted(family, method, "paper", model=tiny_model(family, dtype=dtype), **settings)


def trainable(model: Any) -> dict[str, torch.Tensor]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def gradients(model: Any, family: str) -> dict[str, torch.Tensor]:
    model.train()
    model.zero_grad()
    model(**labelled_batch(family)).loss.backward()
    model.eval()
    return {name: value.grad for name, value in trainable(model).items() if value.grad is not None}


@families
@both_methods
@half_precision
def test_one_step_moves_the_fp32_cores_and_the_output_stays_in_the_dtype_of_the_base(
    family: str, method: str, dtype: torch.dtype
) -> None:
    model = half(family, method, dtype, init_weights=False)
    assert logits(model).dtype == dtype
    before = {name: value.detach().clone() for name, value in trainable(model).items()}
    found = gradients(model, family)
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert all(torch.isfinite(value).all() for value in found.values())
    train(model, family, steps=1, learning_rate=1e-3)
    assert [name for name, value in trainable(model).items() if torch.equal(value, before[name])] == []
    assert {value.dtype for value in trainable(model).values()} == {torch.float32}
    assert {value.dtype for value in model.parameters() if not value.requires_grad} == {dtype}


@families
@both_methods
@half_precision
def test_a_loaded_adapter_is_in_fp32_and_trains_on(
    family: str, method: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    state = copy_of_state(tiny_model(family, dtype=dtype))
    model = half(family, method, dtype)
    train(model, family)
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(same_base_other_head(family, state), tmp_path, is_trainable=True)
    assert {value.dtype for value in trainable(loaded).values()} == {torch.float32}
    assert torch.equal(logits(loaded.eval()), logits(model))
    assert train(loaded, family) == set(trainable(loaded))
    assert logits(loaded).dtype == dtype


@pytest.mark.parametrize("family", ["deberta", "llama"])
@both_methods
@pytest.mark.parametrize(
    ("first", "then"),
    [
        (torch.bfloat16, torch.float32),
        (torch.bfloat16, torch.float16),
        (torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float32),
        (torch.float32, torch.bfloat16),
    ],
)
def test_casting_the_whole_model_casts_what_it_speaks(
    family: str, method: str, first: torch.dtype, then: torch.dtype
) -> None:
    model = half(family, method, first).to(then)
    assert {value.dtype for value in model.state_dict().values()} == {then}
    assert logits(model).dtype == then
    assert all(torch.isfinite(value).all() for value in gradients(model, family).values())


@pytest.mark.parametrize("save", ["embed_tokens", "lm_head"])
@both_methods
def test_saved_embeddings_follow_a_cast_of_the_whole_model(method: str, save: str) -> None:
    model = adapted(
        "llama",
        method,
        "lean",
        model=tiny_model("llama", dtype=torch.bfloat16),
        modules_to_save=[save],
        init_weights=False,
    )
    assert {value.dtype for value in trainable(model).values()} == {torch.float32}
    assert logits(model).dtype == torch.bfloat16
    exact = logits(model.float())
    assert exact.dtype == torch.float32
    torch.testing.assert_close(logits(model.bfloat16()).float(), exact, rtol=0.1, atol=0.3)


@both_methods
def test_a_cast_to_fp32_gives_what_an_adapter_on_an_fp32_base_gives(method: str) -> None:
    state = copy_of_state(tiny_model("bert", dtype=torch.bfloat16))
    exact = tiny_model("bert")
    exact.load_state_dict({name: value.float() for name, value in state.items()})
    expected = logits(adapted("bert", method, "paper", model=exact))
    torch.testing.assert_close(logits(half("bert", method, torch.bfloat16).float()), expected)


@families
@both_methods
@half_precision
@pytest.mark.parametrize("of_base", ["fp32", "half"])
def test_autocast_computes_in_half_precision_and_keeps_fp32_gradients(
    family: str, method: str, dtype: torch.dtype, of_base: str
) -> None:
    base_dtype = torch.float32 if of_base == "fp32" else dtype
    model = half(family, method, base_dtype, init_weights=False)
    exact = logits(half(family, method, torch.float32, init_weights=False))
    with torch.autocast("cpu", dtype=dtype):
        found = logits(model)
        assert found.dtype == dtype
        gradient = gradients(model, family)
    torch.testing.assert_close(found.float(), exact, rtol=0.1, atol=0.5)
    assert {value.dtype for value in gradient.values()} == {torch.float32}
    assert gradient.keys() == trainable(model).keys()
    assert all(torch.isfinite(value).all() for value in gradient.values())


@both_methods
def test_a_second_adapter_on_a_half_precision_base_is_in_fp32_too(method: str) -> None:
    model = half("roberta", method, torch.bfloat16)
    model.add_adapter("second", config_for("roberta", method, "paper", init_weights=False))
    model.set_adapter("second")
    assert {value.dtype for value in trainable(model).values()} == {torch.float32}
    assert logits(model).dtype == torch.bfloat16


@both_methods
def test_casting_of_inputs_can_be_switched_off_as_for_other_methods(method: str) -> None:
    model = adapted("bert", method, "paper")
    with peft.helpers.disable_input_dtype_casting(model):
        assert torch.equal(logits(model), logits(tiny_model("bert")))
    model = half("bert", method, torch.bfloat16)
    with peft.helpers.disable_input_dtype_casting(model), pytest.raises(RuntimeError, match="dtype"):
        model(**token_batch())
