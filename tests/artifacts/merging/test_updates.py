"""What an adapter adds to which tensor, and which adapters do more than that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftConfig, get_peft_model
from safetensors.torch import load_file, save_file

from loretta_cli.artifacts.merging import NotStreamable
from loretta_cli.artifacts.merging.updates import (
    check_streamable,
    read_adapter,
    replacements,
    updates_of,
)
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import RunError
from loretta_cli.planning.plan import make_plan
from loretta_cli.tuners import LorettaRepConfig
from tests.artifacts.merging.untrained_runs import make_run, save_base, with_biases
from tests.tiny_models import tiny_model

ADAPTERS: dict[str, tuple[str, Callable[[], PeftConfig]]] = {
    "rep": ("llama", lambda: LorettaRepConfig(r=8, tt_rank=3, target_modules=["q_proj", "v_proj"])),
    "rep, transposed": ("gpt2", lambda: LorettaRepConfig(r=8, tt_rank=3, target_modules=["c_attn"])),
    "lora": ("llama", lambda: LoraConfig(r=4, target_modules=["q_proj"], rank_pattern={"0.*q_proj": 2})),
    "lora, scaled by the root": (
        "gpt2",
        lambda: LoraConfig(r=4, target_modules=["c_attn"], use_rslora=True, fan_in_fan_out=True),
    ),
    "ia3 with biases": (
        "bert",
        lambda: IA3Config(target_modules=["key", "output.dense"], feedforward_modules=["output.dense"]),
    ),
    "ia3, transposed": (
        "gpt2",
        lambda: IA3Config(target_modules=["c_attn"], feedforward_modules=[], fan_in_fan_out=True),
    ),
}


def adapted(family: str, config: PeftConfig) -> Any:
    """A tiny model with random numbers in the adapter."""
    model: Any = get_peft_model(with_biases(tiny_model(family)), config)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.mark.parametrize(("family", "config"), ADAPTERS.values(), ids=ADAPTERS)
def test_base_and_update_are_what_peft_merges(family: str, config: Callable[[], PeftConfig]) -> None:
    model = adapted(family, config())
    found = updates_of(model.get_base_model())
    before = with_biases(tiny_model(family)).state_dict()
    sums = {name: before[name] + update.of(before[name]) for name, update in found.items()}

    merged = model.merge_and_unload().state_dict()

    changed = {name for name, tensor in merged.items() if not torch.equal(tensor, before[name])}
    assert changed == set(sums)
    for name, tensor in sums.items():
        torch.testing.assert_close(tensor, merged[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize(("family", "config"), ADAPTERS.values(), ids=ADAPTERS)
def test_an_update_is_a_wide_tensor_of_its_own(
    family: str, config: Callable[[], PeftConfig], kind: torch.dtype
) -> None:
    model = adapted(family, config())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    for name, update in updates_of(model.get_base_model()).items():
        base = tiny_model(family).state_dict()[name].to(kind)
        change = update.of(base)
        assert change.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
        assert change.shape == base.shape
        change.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_of_a_run_the_adapter_alone_has_numbers(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", save_base(tmp_path / "base", "bert"), "adapter.train_norms=true")

    found = read_adapter(make_plan(run.read_config()), run)

    saved = load_file(run.adapter / "adapter_model.safetensors")
    base = {name for name, tensor in found.model.named_parameters() if "base_layer" in name}
    assert base
    assert all(found.model.get_parameter(name).device.type == "meta" for name in base)
    assert len(found.updates) == 4  # query and value of two blocks
    assert {"classifier.weight", "bert.embeddings.LayerNorm.bias"} <= set(found.replacements)
    for name, tensor in found.replacements.items():
        assert torch.equal(tensor, saved[f"base_model.model.{name}"])
    assert found.shapes["bert.embeddings.word_embeddings.weight"][1] == 48


def test_names_of_one_tensor_are_known(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", save_base(tmp_path / "base", "gpt2"), method="lora")

    found = read_adapter(make_plan(run.read_config()), run)

    assert set(found.tied["lm_head.weight"]) == {"lm_head.weight", "transformer.wte.weight"}
    assert found.tied["transformer.wpe.weight"] == ("transformer.wpe.weight",)


def change_saved(run: RunFolder, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    file = run.adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def without_one(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[next(name for name in tensors if "loretta" in name)]


def of_another_size(tensors: dict[str, torch.Tensor]) -> None:
    name = next(name for name in tensors if "loretta" in name)
    tensors[name] = torch.ones(3, *tensors[name].shape[1:])


@pytest.mark.parametrize("change", [without_one, of_another_size])
def test_an_adapter_that_does_not_fit_is_refused(
    tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None]
) -> None:
    base = save_base(tmp_path / "base", "llama")
    run = make_run(tmp_path / "run", base)
    change_saved(run, change)

    with pytest.raises(RunError, match=f"cannot be loaded onto {base}") as refusal:
        read_adapter(make_plan(run.read_config()), run)

    assert "may not be the one it was trained on" in refusal.value.hint


def test_an_adapter_of_a_base_of_another_width_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", save_base(tmp_path / "base", "llama"))
    other = save_base(tmp_path / "other", "llama", hidden_size=64, intermediate_size=96)

    moved = RunFolder(run.path, str(other))
    with pytest.raises(RunError, match=f"cannot be loaded onto {other}"):
        read_adapter(make_plan(moved.read_config()), moved)


MORE: dict[str, tuple[str, Callable[[], PeftConfig], str]] = {
    "directions and lengths": (
        "llama",
        lambda: LoraConfig(target_modules=["q_proj"], use_dora=True),
        "is not a plain one",
    ),
    "a bias of its own": (
        "bert",
        lambda: LoraConfig(target_modules=["query"], lora_bias=True),
        "is not a plain one",
    ),
    "an embedding": (
        "bert",
        lambda: LoraConfig(target_modules=["word_embeddings"]),
        "not a change of one matrix",
    ),
}


@pytest.mark.parametrize(("family", "config", "reason"), MORE.values(), ids=MORE)
def test_what_is_no_change_of_one_matrix_is_not_streamed(
    family: str, config: Callable[[], PeftConfig], reason: str
) -> None:
    model = adapted(family, config()).get_base_model()

    with pytest.raises(NotStreamable, match=reason):
        updates_of(model)


def test_an_embedding_that_is_trained_in_part_is_not_streamed() -> None:
    config = LoraConfig(target_modules=["query"], trainable_token_indices=[3, 4])
    base = adapted("bert", config).get_base_model()

    with pytest.raises(NotStreamable, match="not a change of one matrix"):
        updates_of(base)
    with pytest.raises(NotStreamable, match="word_embeddings is trained in part"):
        replacements(base)


PLANS: dict[str, tuple[dict[str, Any], str]] = {
    "a method": ({"method": "vera"}, "the method vera"),
    "a quantised base": ({"quantization": "nf4"}, "is quantised"),
    "code of its own": ({"trust_remote_code": True}, "code of its own"),
    "a file of another name": ({"weights": "other.safetensors"}, "a file of weights of its own"),
}


@pytest.mark.parametrize(("facts", "reason"), PLANS.values(), ids=PLANS)
def test_what_the_plan_alone_tells_is_refused_before_anything_is_read(
    facts: dict[str, Any], reason: str
) -> None:
    facts = {"method": "rep", "quantization": None, "trust_remote_code": False, "weights": None} | facts
    model = SimpleNamespace(quantization=facts["quantization"], trust_remote_code=facts["trust_remote_code"])
    config = SimpleNamespace(adapter=SimpleNamespace(method=facts["method"]), model=model)
    of_model = SimpleNamespace(transformers_weights=facts["weights"])

    with pytest.raises(NotStreamable, match=reason):
        check_streamable(cast("Any", SimpleNamespace(config=config, model_config=of_model)))
