"""A merge shard by shard writes what one in memory writes, and the model it writes computes the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import MixtralConfig, MixtralForCausalLM

from loretta_cli.artifacts import merge as merging
from loretta_cli.artifacts.merge import MergeRequest, merge
from loretta_cli.artifacts.merging import NotStreamable
from tests.artifacts.merging.untrained_runs import Notes, make_run, save_base, tensors_of
from tests.tiny_folders import decoder_tokenizer

CLASSIFY = "task.form=classification"
CASES = {
    "a bare encoder, trained norms and a tensor-train head": (
        *("roberta", True, "rep", ("adapter.preset=paper",)),
    ),
    "a classifier of other labels": ("bert", False, "lora", ()),
    "a bare encoder and scaled biases": ("bert", True, "ia3", ()),
    "a language model that becomes a classifier": ("llama", False, "rep", (CLASSIFY,)),
    "a bare model that becomes a classifier": ("llama", True, "lora", (CLASSIFY,)),
    "transposed fused weights, tied output": ("gpt2", True, "lora", ()),
    "transposed fused weights, scaled": ("gpt2", False, "ia3", ()),
    "an encoder-decoder": ("t5", False, "rep", ()),
    "an encoder-decoder with an output layer of its own": ("t5-gated", False, "lora", ()),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_streamed_and_in_memory_the_same_files_are_written(
    case: tuple[str, bool, str, tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, bare, method, settings = case
    base = save_base(tmp_path / "base", family, bare=bare)
    # T5 does not scale its attention: with large random updates it amplifies fp32's own rounding.
    scale = 0.05 if family.startswith("t5") else 0.3
    run = make_run(tmp_path / "run", base, *settings, method=method, scale=scale)
    streamed, whole = tmp_path / "streamed", tmp_path / "whole"

    by_layers = merge(MergeRequest(run, tmp_path / "by-layers", verify="layers"), Notes())
    report = merge(MergeRequest(run, streamed), Notes())
    monkeypatch.setattr(merging, "_stream", _refused)
    in_memory = merge(MergeRequest(run, whole), notes := Notes())

    assert (report.streamed, in_memory.streamed) == (True, False)
    assert "merging in memory, because the test says so" in notes.notes
    assert by_layers.verification.comparison.passed
    assert {file.name for file in streamed.iterdir()} == {file.name for file in whole.iterdir()}
    assert _json(streamed / "config.json") == _json(whole / "config.json")
    found, expected = tensors_of(streamed), tensors_of(whole)
    assert set(found) == set(expected)
    before = tensors_of(base)
    assert any(name not in before or not torch.equal(found[name], before[name]) for name in found)
    for name, tensor in expected.items():
        # ia3 multiplies in the one, and adds in the other.
        assert torch.equal(found[name], tensor) or method == "ia3", name
        torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=1e-6)


def _refused(*_: object) -> None:
    raise NotStreamable("the test says so")


def _json(file: Path) -> object:
    return json.loads(file.read_text(encoding="utf-8"))


def test_files_keep_their_number_and_the_index_names_every_tensor(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "llama", shard_size="100KB")
    files = sorted(file.name for file in base.glob("*.safetensors"))
    run = make_run(tmp_path / "run", base)

    merge(MergeRequest(run, tmp_path / "merged", verify="layers"), Notes())

    assert len(files) >= 3
    assert sorted(file.name for file in (tmp_path / "merged").glob("*.safetensors")) == files
    index = _json(tmp_path / "merged" / "model.safetensors.index.json")
    assert index == _json(base / "model.safetensors.index.json")
    found, before = tensors_of(tmp_path / "merged"), tensors_of(base)
    assert {name: tensor.shape for name, tensor in found.items()} == {
        name: tensor.shape for name, tensor in before.items()
    }


def test_a_file_that_holds_nothing_any_more_is_not_written(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "llama", shard_size="1KB")
    run = make_run(tmp_path / "run", base, CLASSIFY)

    merge(MergeRequest(run, tmp_path / "merged", verify="logits"), Notes())

    found = tensors_of(tmp_path / "merged")
    assert "lm_head.weight" in tensors_of(base)
    assert "lm_head.weight" not in found
    assert "score.weight" in found
    places = _json(tmp_path / "merged" / "model.safetensors.index.json")
    assert isinstance(places, dict)
    assert set(places["weight_map"]) == set(found)


def test_experts_that_are_stored_one_by_one_stay_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = decoder_tokenizer()
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = MixtralConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=64,
        num_local_experts=3,
        pad_token_id=tokenizer.pad_token_id,
        **sizes,
    )
    with torch.random.fork_rng():
        MixtralForCausalLM(config).save_pretrained(base := tmp_path / "base")
    tokenizer.save_pretrained(base)
    run = make_run(tmp_path / "run", base, "adapter.target_modules=[q_proj]", scale=0.05)

    report = merge(MergeRequest(run, tmp_path / "merged", verify="logits"), Notes())
    monkeypatch.setattr(merging, "_stream", _refused)
    merge(MergeRequest(run, tmp_path / "whole"), Notes())

    assert report.streamed
    found, expected = tensors_of(tmp_path / "merged"), tensors_of(tmp_path / "whole")
    assert any(".experts.2." in name for name in found), "transformers makes one tensor of all experts"
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_old_names_of_a_checkpoint_stay(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    base = save_base(tmp_path / "base", "bert", bare=True)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in tensors_of(base).items()
    }
    save_file(old, base / "model.safetensors", metadata={"format": "pt"})
    run = make_run(tmp_path / "run", base, "adapter.train_norms=true")

    report = merge(MergeRequest(run, tmp_path / "merged", verify="logits"), Notes())

    assert report.streamed
    assert report.verification.comparison.max_abs_difference <= 1e-4
    assert "bert.embeddings.LayerNorm.gamma" in tensors_of(tmp_path / "merged")


def test_stored_half_precision_is_kept_and_what_the_cast_loses_is_told(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "llama", dtype=torch.bfloat16)
    run = make_run(tmp_path / "run", base)

    report = merge(MergeRequest(run, tmp_path / "merged", verify="layers"), Notes())
    wide = merge(MergeRequest(run, tmp_path / "wide", dtype=torch.float32), Notes())

    assert report.dtype == "bfloat16"
    assert {tensor.dtype for tensor in tensors_of(tmp_path / "merged").values()} == {torch.bfloat16}
    assert len(report.lost.layers) == report.verification.layers
    assert wide.dtype == "float32"
    assert {tensor.dtype for tensor in tensors_of(tmp_path / "wide").values()} == {torch.float32}
    assert wide.lost.as_json() is None
    assert wide.verification.comparison.max_abs_difference <= 1e-4
    update = {name: value for name, value in tensors_of(tmp_path / "wide").items() if "q_proj" in name}
    for name, exact in update.items():
        change = exact - tensors_of(base)[name].float()
        lost = tensors_of(tmp_path / "merged")[name].float() - exact
        expected = float(lost.norm() / change.norm())
        assert report.lost.layers[name.removesuffix(".weight")] == pytest.approx(expected, rel=1e-3)
        assert expected > 1e-4


def test_what_a_family_keeps_in_fp32_stays_so_in_half_precision(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", save_base(tmp_path / "base", "t5"))

    merge(MergeRequest(run, tmp_path / "merged", dtype=torch.float16, verify="layers"), Notes())

    kinds = {name: tensor.dtype for name, tensor in tensors_of(tmp_path / "merged").items()}
    assert {dtype for name, dtype in kinds.items() if ".wo." in name} == {torch.float32}
    assert {dtype for name, dtype in kinds.items() if ".wo." not in name} == {torch.float16}


@pytest.mark.parametrize("method", ["vera", "full", "bitfit"])
def test_methods_that_are_no_change_of_single_matrices_merge_in_memory_and_say_so(
    tmp_path: Path, method: str
) -> None:
    run = make_run(tmp_path / "run", save_base(tmp_path / "base", "bert"), method=method, scale=0.01)

    report = merge(MergeRequest(run, tmp_path / "merged"), notes := Notes())

    assert not report.streamed
    assert report.verification.comparison.passed
    assert any(f"merging in memory, because the method {method}" in note for note in notes.notes)


def test_a_base_without_safetensors_files_merges_in_memory(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "bert")
    torch.save(tensors_of(base), base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()
    run = make_run(tmp_path / "run", base, scale=0.05)

    report = merge(MergeRequest(run, tmp_path / "merged", dtype=torch.bfloat16), notes := Notes())

    assert not report.streamed
    assert report.dtype == "bfloat16"
    assert report.lost.as_json() is not None
    assert any("no safetensors files" in note for note in notes.notes)


@pytest.mark.filterwarnings(  # PEFT's, when it adapts and when it merges
    "ignore:Model has `tie_word_embeddings=True`:UserWarning",
    "ignore:Input and output embeddings are no longer tied:UserWarning",
)
def test_a_tensor_that_has_two_names_merges_in_memory(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "llama", tie_word_embeddings=True)
    run = make_run(tmp_path / "run", base, "adapter.target_modules=[lm_head]")

    report = merge(MergeRequest(run, tmp_path / "merged"), notes := Notes())

    assert not report.streamed
    assert any("is also another tensor of the model" in note for note in notes.notes)
