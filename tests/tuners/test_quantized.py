"""Both tuners on bases in 4 and 8 bits: they start at the base, train through it, and save what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import BitsAndBytesConfig, LlamaForCausalLM

from loretta_cli.errors import ModelError
from loretta_cli.models.quantization import Quantization
from loretta_cli.tuners.targets import TargetModulesError
from tests.tiny_models import TINY, UNKNOWN, labelled_batch, tiny_model
from tests.tuners.adapters import CONFIGS, adapted, logits, saved_tensors, train

bitsandbytes = pytest.importorskip("bitsandbytes")

from tests.quantized_models import (  # noqa: E402  needs bitsandbytes
    KINDS,
    plain_model,
    quantized_bytes,
    quantized_model,
)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
EVERY = [(method, kind) for method in CONFIGS for kind in KINDS]


def adapted_to(kind: Quantization, family: str, method: str, **settings: Any) -> Any:
    return adapted(family, method, model=quantized_model(family, kind), **settings)


def gradients(model: Any, family: str) -> dict[str, torch.Tensor]:
    model.train()
    model.zero_grad()
    model(**labelled_batch(family)).loss.backward()
    model.eval()
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("family", ["bert", "llama"])
@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_the_first_step_is_the_quantised_base_bit_for_bit(
    method: str, kind: Quantization, family: str
) -> None:
    expected = logits(quantized_model(family, kind))
    assert torch.equal(logits(adapted_to(kind, family, method)), expected)


@pytest.mark.parametrize("family", ["bert", "llama"])
@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_every_core_learns_and_no_byte_of_the_base_changes(
    method: str, kind: Quantization, family: str
) -> None:
    model = adapted_to(kind, family, method)
    before, start = quantized_bytes(model), logits(model)
    assert before
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert train(model, family) == trainable
    after = quantized_bytes(model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (logits(model) - start).abs().max() > 1e-3


@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_an_evaluation_changes_no_gradient(method: str, kind: Quantization) -> None:
    # bitsandbytes repacks 4-bit weights at an evaluation on some CPUs, and then passes no gradient.
    model = adapted_to(kind, "llama", method, init_weights=False)
    expected = gradients(model, "llama")
    logits(model)
    again = gradients(model, "llama")
    assert all(torch.equal(again[name], value) for name, value in expected.items())


@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_recomputed_activations_give_the_same_gradients(method: str, kind: Quantization) -> None:
    model = adapted_to(kind, "llama", method, init_weights=False)
    expected = gradients(model, "llama")
    model.base_model.model.activation_checkpointing_enable({"use_reentrant": False})
    again = gradients(model, "llama")
    assert again.keys() == expected.keys()
    assert all(torch.equal(again[name], value) for name, value in expected.items())


@pytest.mark.parametrize("family", ["bert", "llama"])
@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_a_saved_adapter_gives_the_same_logits_on_a_base_loaded_anew(
    method: str, kind: Quantization, family: str, tmp_path: Path
) -> None:
    model = adapted_to(kind, family, method)
    train(model, family)
    model.save_pretrained(tmp_path)
    assert {tensor.dtype for tensor in saved_tensors(tmp_path).values()} == {torch.float32}
    loaded = peft.PeftModel.from_pretrained(quantized_model(family, kind), tmp_path, adapter_name="other")
    assert torch.equal(logits(loaded.eval()), logits(model))


@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_cores_are_fp32_in_a_bfloat16_model(method: str, kind: Quantization) -> None:
    base = quantized_model("llama", kind, dtype=torch.bfloat16)
    model = adapted("llama", method, model=base)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert {parameter.dtype for parameter in trainable} == {torch.float32}
    assert len(train(model, "llama")) == len(trainable)
    assert torch.isfinite(logits(model)).all()


@pytest.mark.parametrize("family", sorted(TINY))
def test_every_family_trains_on_a_base_in_eight_bits(family: str) -> None:
    settings = {} if family != UNKNOWN else {"target_modules": ["out_proj"]}
    expected = logits(quantized_model(family, "int8"))
    model = adapted_to("int8", family, "rep", **settings)
    assert torch.equal(logits(model), expected)
    assert train(model, family) == {name for name, value in model.named_parameters() if value.requires_grad}


@pytest.mark.parametrize("kind", KINDS)
def test_merging_as_a_peft_user_does_warns_and_quantises_anew(kind: Quantization) -> None:
    model = adapted_to(kind, "llama", "rep", init_weights=False)
    base, expected = logits(quantized_model("llama", kind)), logits(model)
    with pytest.warns(UserWarning, match="rounds it anew"):
        merged = model.merge_and_unload(safe_merge=True)
    assert quantized_bytes(merged).keys() == quantized_bytes(quantized_model("llama", kind)).keys()
    assert (logits(merged) - expected).norm() < 0.5 * (base - expected).norm()


@pytest.mark.parametrize("kind", KINDS)
def test_taking_a_merged_adapter_out_again_comes_near_the_base(kind: Quantization) -> None:
    model = adapted_to(kind, "llama", "rep", init_weights=False)
    base, adapter = logits(quantized_model("llama", kind)), logits(model)
    with pytest.warns(UserWarning, match="Merging into a quantised weight"):
        model.merge_adapter()
    with pytest.warns(UserWarning, match="Unmerging from a quantised weight"):
        model.unmerge_adapter()
    with model.disable_adapter():
        assert (logits(model) - base).norm() < 0.5 * (adapter - base).norm()


@pytest.mark.parametrize("kind", KINDS)
def test_adp_does_not_merge_here_either(kind: Quantization) -> None:
    with pytest.raises(ValueError, match="nonlinearity"):
        adapted_to(kind, "llama", "adp").merge_and_unload()


@pytest.mark.parametrize("kind", KINDS)
def test_noise_reduction_starts_at_the_quantised_base_and_trains(kind: Quantization, tmp_path: Path) -> None:
    model = adapted_to(kind, "llama", "rep", init_weights="noise-reduction")
    assert torch.equal(logits(model), logits(quantized_model("llama", kind)))
    assert train(model, "llama")
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(quantized_model("llama", kind), tmp_path, adapter_name="other")
    assert torch.equal(logits(loaded.eval()), logits(model))


@pytest.mark.parametrize("method", CONFIGS)
def test_a_base_repacked_by_inference_is_refused(method: str) -> None:
    base = quantized_model("llama", "nf4")
    base.model.layers[1].mlp.up_proj.weight.quant_state.packing_format_for_cpu = True
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj was used for inference"):
        adapted("llama", method, model=base)


@pytest.mark.parametrize("method", CONFIGS)
def test_four_bits_are_refused_on_a_cpu_where_a_row_is_no_whole_number_of_blocks(
    method: str, tmp_path: Path
) -> None:
    tiny_model("llama").save_pretrained(tmp_path)
    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    base = LlamaForCausalLM.from_pretrained(tmp_path, quantization_config=settings, device_map="cpu")
    with pytest.raises(ModelError, match=r"has 48 inputs; .* only with a multiple of 64") as caught:
        adapted("llama", method, model=base)
    assert "int8" in caught.value.hint


def test_a_base_whose_head_is_quantised_is_refused_with_the_way_to_load_it() -> None:
    whole = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=["out_proj"]
    )
    base = quantized_model("roberta", "nf4", quantization_config=whole)
    with pytest.raises(TargetModulesError, match=r"classifier\.dense of the base model is") as caught:
        adapted("roberta", "rep", model=base)
    assert "llm_int8_skip_modules=['classifier', 'score']" in caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_of_a_quantised_base_knows_its_weight_as_a_matrix(kind: Quantization) -> None:
    model = adapted_to(kind, "llama", "rep")
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    plain = plain_model("llama").model.layers[0].self_attn.q_proj.weight
    weight = layer.get_base_weight()
    assert weight.shape == plain.shape
    assert (weight - plain).norm() < 0.15 * plain.norm()


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_on_a_gpu_cores_lie_beside_the_base_and_learn(
    method: str, kind: Quantization, dtype: torch.dtype, tmp_path: Path
) -> None:
    model = adapted("llama", method, model=quantized_model("llama", kind, dtype=dtype))
    trainable = {name: value for name, value in model.named_parameters() if value.requires_grad}
    assert {value.device.type for value in trainable.values()} == {"cuda"}
    batch = {name: value.cuda() for name, value in labelled_batch("llama").items()}
    optimizer = torch.optim.Adam(trainable.values(), lr=0.02)
    before, first = quantized_bytes(model), model(**batch).loss
    for _ in range(3):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    assert all(value.grad is not None and value.grad.any() for value in trainable.values())
    after = quantized_bytes(model)
    assert all(torch.equal(before[name], after[name]) for name in before)
    last = model(**batch)
    assert last.loss < first
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(
        quantized_model("llama", kind, dtype=dtype), tmp_path, adapter_name="other"
    )
    # int8 products are summed in another order at times.
    torch.testing.assert_close(loaded.eval()(**batch).loss, last.loss, rtol=2e-2, atol=2e-2)
