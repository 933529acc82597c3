"""Quantised bases: what is quantised and what is kept, what lies on disk already, and the way back."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertModel,
    BitsAndBytesConfig,
)

from loretta_cli.errors import ConfigError, ModelError
from loretta_cli.measure.parameters import count_base
from loretta_cli.models.families import Form
from loretta_cli.models.loading import empty_model, load_config, load_model
from loretta_cli.models.quantization import (
    Quantization,
    dequantize,
    kept_modules,
    parameter_size,
    quantized_layers,
    quantizer_settings,
    resolve_quantization,
    stored_quantization,
)
from loretta_cli.models.source import find_model
from tests.tiny_models import tiny_config, token_batch

bitsandbytes = pytest.importorskip("bitsandbytes")

from tests.quantized_models import KINDS, plain_model, quantized_model  # noqa: E402  needs bitsandbytes

SIZES = {"hidden_size": 64, "intermediate_size": 128}


def load(folder: Path, form: Form, kind: Quantization | None, **options: Any) -> Any:
    quantizer = None
    if kind is not None:
        config = AutoConfig.from_pretrained(folder)
        quantizer = quantizer_settings(kind, torch.float32, kept_modules(config.model_type))
    labels = ("cold", "mild", "warm") if form == "classification" else ()
    return load_model(find_model(str(folder)), form, labels=labels, quantizer=quantizer, **options)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = model(**token_batch()).logits
    return result


def layers_of(kind: Quantization) -> type:
    return bitsandbytes.nn.Linear8bitLt if kind == "int8" else bitsandbytes.nn.Linear4bit


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An encoder without its head, an encoder with two head layers, and a decoder."""
    parent = tmp_path_factory.mktemp("models")
    for name in ("bert", "roberta"):
        plain_model(name).base_model.save_pretrained(parent / name)
    plain_model("llama").save_pretrained(parent / "llama")
    return {name: parent / name for name in ("bert", "roberta", "llama")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("family", "form", "kept"),
    [
        ("bert", "classification", {"classifier"}),
        ("roberta", "classification", {"classifier.dense", "classifier.out_proj"}),
        ("llama", "classification", {"score"}),
        ("llama", "prompt", {"lm_head"}),
    ],
)
def test_linear_layers_are_quantised_and_heads_and_outputs_are_not(
    folders: dict[str, Path], family: str, form: Form, kept: set[str], kind: Quantization
) -> None:
    loaded = load(folders[family], form, kind)
    linear = {name: type(m) for name, m in loaded.model.named_modules() if isinstance(m, torch.nn.Linear)}
    assert {name for name, found in linear.items() if found is torch.nn.Linear} == kept
    assert {found for name, found in linear.items() if name not in kept} == {layers_of(kind)}
    assert quantized_layers(loaded.model) == [name for name in linear if name not in kept]
    assert not loaded.model.training


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_checkpoint_lacks_is_not_quantised(kind: Quantization, tmp_path: Path) -> None:
    BertModel(tiny_config("bert", **SIZES), add_pooling_layer=False).save_pretrained(tmp_path)
    loaded = load(tmp_path, "classification", kind)
    assert loaded.new_modules == ("bert.pooler.dense", "classifier")
    assert type(loaded.model.bert.pooler.dense) is torch.nn.Linear
    assert quantized_layers(loaded.model, ["bert.encoder"]) == quantized_layers(loaded.model)
    assert torch.isfinite(logits(loaded.model)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantised_model_counts_as_many_numbers_as_one_that_is_not(
    folders: dict[str, Path], kind: Quantization
) -> None:
    loaded = load(folders["llama"], "prompt", kind)
    packed = sum(parameter.numel() for parameter in loaded.model.parameters())
    expected = count_base(plain_model("llama"))
    assert count_base(loaded.model) == expected
    assert count_base(empty_model(load_config(find_model(str(folders["llama"]))), "prompt")) == expected
    assert (packed < expected) == (kind != "int8")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_quantised_has_the_dtype_that_was_asked_for(
    folders: dict[str, Path], kind: Quantization, dtype: torch.dtype
) -> None:
    settings = quantizer_settings(kind, dtype, kept_modules("llama"))
    model = load_model(find_model(str(folders["llama"])), "prompt", dtype=dtype, quantizer=settings).model
    assert {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()} == {dtype}
    assert logits(model).dtype == dtype


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
def test_a_model_dequantised_from_four_bits_gives_the_same_logits(family: str, kind: Quantization) -> None:
    model = quantized_model(family, kind)
    expected = logits(model)
    dequantize(model)
    torch.testing.assert_close(logits(model), expected, rtol=1e-5, atol=1e-5)
    assert (logits(model) - logits(plain_model(family))).abs().max() > 0.01


@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
def test_a_model_dequantised_from_eight_bits_gives_the_logits_of_its_weights(family: str) -> None:
    model = quantized_model(family, "int8")
    rounded_inputs = logits(model)
    # In training mode on a CPU, these layers do not round their inputs.
    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear8bitLt):
            module.train()
    expected = logits(model)
    dequantize(model)
    torch.testing.assert_close(logits(model), expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(rounded_inputs, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_dequantised_model_is_an_ordinary_one_on_disk(
    family: str, kind: Quantization, tmp_path: Path
) -> None:
    model = quantized_model(family, kind)
    dequantize(model)
    model.save_pretrained(tmp_path)
    assert stored_quantization(AutoConfig.from_pretrained(tmp_path)) is None
    again, info = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not quantized_layers(again)
    assert [type(module) for module in again.modules()] == [type(m) for m in plain_model(family).modules()]
    assert torch.equal(logits(again.eval()), logits(model))


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_stored_quantised_is_loaded_as_it_is(kind: Quantization, tmp_path: Path) -> None:
    stored = quantized_model("llama", kind)
    stored.save_pretrained(tmp_path)
    config = load_config(find_model(str(tmp_path)))
    assert resolve_quantization(None, config, "it") == kind
    assert resolve_quantization(kind, config, "it") == kind
    loaded = load(tmp_path, "prompt", None)
    assert loaded.new_modules == ()
    assert quantized_layers(loaded.model) == quantized_layers(stored)
    assert torch.equal(logits(loaded.model), logits(stored))
    assert count_base(loaded.model) == count_base(plain_model("llama"))
    dequantize(loaded.model)
    loaded.model.save_pretrained(tmp_path / "again")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "again")
    assert torch.equal(logits(again.eval()), logits(loaded.model))


def test_another_quantisation_than_the_stored_one_is_refused(tmp_path: Path) -> None:
    quantized_model("llama", "nf4").save_pretrained(tmp_path)
    config = load_config(find_model(str(tmp_path)))
    with pytest.raises(ConfigError, match="is int8, but the weights of it are stored in nf4"):
        resolve_quantization("int8", config, "it")


def test_a_format_of_another_package_is_refused() -> None:
    config = SimpleNamespace(quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(ModelError, match="stored in the format gptq") as caught:
        resolve_quantization(None, config, "it")
    assert "model.quantization=nf4" in caught.value.hint


def test_a_head_that_is_stored_quantised_is_refused(tmp_path: Path) -> None:
    whole = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=["out_proj"]
    )
    stored = quantized_model("roberta", "nf4", quantization_config=whole)
    stored.base_model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="has no weights for a layer that would be quantised"):
        load(tmp_path, "classification", None)


def test_nothing_is_asked_of_bitsandbytes_where_nothing_is_quantised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    assert resolve_quantization(None, tiny_config("llama"), "it") is None


def test_without_bitsandbytes_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ModelError, match="in nf4 needs the package bitsandbytes") as caught:
        resolve_quantization("nf4", tiny_config("llama"), "it")
    assert caught.value.hint == "pip install 'loretta-cli[quant]'"


def test_a_layer_that_cannot_be_computed_right_on_a_cpu_is_refused(tmp_path: Path) -> None:
    BertModel(tiny_config("bert")).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"has 48 inputs; .* only with a multiple of 64"):
        load(tmp_path, "classification", "nf4")


def test_bitsandbytes_still_repacks_by_the_attribute_that_is_switched_off() -> None:
    layer = bitsandbytes.nn.Linear4bit(64, 64, quant_type="nf4").to("cpu")
    assert isinstance(layer.support_avx512bf16_for_cpu, (bool, int))


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX512", reason="seen on CPUs with AVX-512 only"
)
def test_bitsandbytes_still_mixes_up_scales_of_rows_that_are_no_whole_blocks() -> None:
    # Once this fails, the refusal of such layers on a CPU can go.
    weight = torch.randn(48, 48, generator=torch.Generator().manual_seed(0))
    packed, state = bitsandbytes.functional.quantize_4bit(weight, quant_type="nf4")
    error = bitsandbytes.functional.dequantize_4bit(packed, state) - weight
    assert error.norm() > 0.2 * weight.norm()


def test_an_ordinary_parameter_has_the_size_of_its_tensor() -> None:
    assert parameter_size(torch.nn.Parameter(torch.zeros(3, 5))) == 15


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_gpu_the_model_lies_there_quantised_and_comes_back(
    folders: dict[str, Path], kind: Quantization
) -> None:
    model = load(folders["llama"], "prompt", kind).model
    batch = {name: value.cuda() for name, value in token_batch().items()}
    with torch.no_grad():
        expected = model(**batch).logits
        dequantize(model)
        found = model(**batch).logits
    assert {parameter.device.type for parameter in model.parameters()} == {"cuda"}
    # int8 rounds its inputs, and 4-bit products may be taken in another order.
    tolerance = 0.1 if kind == "int8" else 1e-3
    assert (found - expected).norm() < tolerance * expected.norm()


def test_plain_transformers_read_what_was_loaded_here(folders: dict[str, Path]) -> None:
    for auto, name in ((AutoModelForSequenceClassification, "bert"), (AutoModelForCausalLM, "llama")):
        assert not quantized_layers(auto.from_pretrained(folders[name]))
