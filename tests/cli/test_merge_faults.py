"""Merges that fail: broken adapters, broken or wrong base models, a full disk. One sentence, nothing left."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from loretta_cli.artifacts import merge as merging
from loretta_cli.artifacts.merging import in_memory, streaming
from loretta_cli.artifacts.run_folder import RunFolder
from tests.artifacts.merging.untrained_runs import make_run, save_base
from tests.cli.refusal import assert_refused
from tests.command_line import Outcome, files_below, loretta

INDEX = "model.safetensors.index.json"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A language model in several files."""
    return save_base(tmp_path / "base", "llama", shard_size="100KB")


@pytest.fixture
def run(base: Path, tmp_path: Path) -> RunFolder:
    """A run on it; like those of earlier versions it has no fingerprints, so the merge itself has to look."""
    return make_run(tmp_path / "run", base, "adapter.train_norms=true")


def merge(run: RunFolder, place: Path, *more: object) -> Outcome:
    """Merge into a folder of its own, in which nothing may be left, whatever happens."""
    place.mkdir()
    outcome = loretta("merge", run.path, "--output", place / "merged", *more)
    assert not files_below(place)
    return outcome


def change_file(file: Path, part: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Change the first tensor of that name in a safetensors file."""
    tensors = load_file(file)
    name = next(name for name in tensors if part in name)
    tensors[name] = change(tensors[name])
    save_file(tensors, file, metadata={"format": "pt"})


def with_one(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Put a number at the end of a tensor."""

    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor.view(-1)[-1] = value
        return tensor

    return change


@pytest.mark.parametrize("check", ["logits", "layers"])
@pytest.mark.parametrize("part", ["loretta", "norm.weight"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_adapter_with_numbers_that_are_none_is_refused(
    run: RunFolder, tmp_path: Path, value: float, part: str, check: str
) -> None:
    change_file(run.adapter / "adapter_model.safetensors", part, with_one(value))

    outcome = merge(run, tmp_path / "place", "--verify", check)

    assert_refused(outcome)
    assert outcome.exit_code == 2
    assert "What the adapter makes of model." in outcome.stderr
    assert "numbers that are not finite" in outcome.stderr
    assert "the training may have diverged" in outcome.stderr


def test_so_is_one_that_merges_in_memory(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", save_base(tmp_path / "base", "bert"), method="vera")
    change_file(run.adapter / "adapter_model.safetensors", "vera_lambda_b", with_one(float("nan")))

    outcome = merge(run, tmp_path / "place")

    assert_refused(outcome)
    assert outcome.exit_code == 1
    assert "The adapter cannot be merged" in outcome.stderr


def test_a_base_with_numbers_that_are_none_is_named(run: RunFolder, base: Path, tmp_path: Path) -> None:
    shard = next(file for file in base.glob("*.safetensors") if "embed_tokens" in str(load_file(file).keys()))
    change_file(shard, "embed_tokens", with_one(float("nan")))

    outcome = merge(run, tmp_path / "place", "--verify", "layers")

    assert_refused(outcome)
    assert outcome.exit_code == 2
    assert f"model.embed_tokens.weight of {base} has numbers that are not finite" in outcome.stderr


def test_numbers_too_large_for_the_number_type_are_told_with_one_that_holds_them(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "llama")
    run = make_run(tmp_path / "run", base)
    change_file(base / "model.safetensors", "embed_tokens", with_one(1e5))

    outcome = merge(run, tmp_path / "place", "--dtype", "float16", "--verify", "layers")

    assert_refused(outcome)
    assert outcome.exit_code == 1
    assert "model.embed_tokens.weight has numbers too large for float16" in outcome.stderr
    assert "--dtype bfloat16 or --dtype float32" in outcome.stderr


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def with_a_flipped_bit_in_the_header(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[content.index(b'"data_offsets"') + 2] ^= 4
    file.write_bytes(content)


def missing(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [cut_short, with_a_flipped_bit_in_the_header, missing])
def test_a_broken_file_of_the_base_is_named(
    run: RunFolder, base: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    shard = sorted(base.glob("*.safetensors"))[-1]
    damage(shard)

    outcome = merge(run, tmp_path / "place")

    assert_refused(outcome)
    assert outcome.exit_code == 2
    assert f"Cannot read {shard.name} of {base}" in outcome.stderr
    assert "get it anew" in outcome.stderr


def test_an_index_of_another_model_is_refused(run: RunFolder, base: Path, tmp_path: Path) -> None:
    text = (base / INDEX).read_text(encoding="utf-8")
    (base / INDEX).write_text(text.replace("layers.0.", "layers.5."), encoding="utf-8")

    outcome = merge(run, tmp_path / "place")

    assert_refused(outcome)
    assert "has the tensor model.layers.5." in outcome.stderr


def test_a_base_of_another_width_is_refused(run: RunFolder, tmp_path: Path) -> None:
    other = save_base(tmp_path / "other", "llama", hidden_size=64, intermediate_size=96)

    outcome = merge(run, tmp_path / "place", "--base", other)

    assert_refused(outcome)
    assert outcome.exit_code == 2
    assert f"cannot be loaded onto {other}" in outcome.stderr


def test_weights_of_another_model_beside_the_config_are_refused(
    run: RunFolder, base: Path, tmp_path: Path
) -> None:
    other = save_base(tmp_path / "other", "llama", intermediate_size=160)
    shutil.copyfile(base / "config.json", other / "config.json")

    outcome = merge(run, tmp_path / "place", "--base", other)

    assert_refused(outcome)
    assert outcome.exit_code == 2
    assert "do not fit its config.json" in outcome.stderr


@pytest.mark.parametrize("check", ["logits", "layers"])
def test_a_small_update_that_is_not_merged_is_noticed_below_the_rounding_of_half_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    small = make_run(tmp_path / "run", save_base(tmp_path / "base", "llama"), "adapter.alpha=0.01")
    monkeypatch.setattr(streaming, "add", lambda tensor, update, dtype, lost: tensor.to(dtype))

    outcome = merge(small, tmp_path / "place", "--dtype", "bfloat16", "--verify", check)

    assert_refused(outcome)
    assert outcome.exit_code == 1
    assert "is not the sum of base and adapter" in outcome.stderr


def test_so_it_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = make_run(tmp_path / "run", save_base(tmp_path / "base", "bert"), method="vera", scale=0.01)
    monkeypatch.setattr(in_memory, "merge_into_base", lambda model: model.unload().eval())

    outcome = merge(small, tmp_path / "place", "--dtype", "bfloat16")

    assert_refused(outcome)
    assert outcome.exit_code == 1
    assert "more than the" in outcome.stderr
    assert "accepted for float32" in outcome.stderr


def test_a_cast_that_loses_much_of_the_update_is_warned_of(tmp_path: Path) -> None:
    small = make_run(tmp_path / "run", save_base(tmp_path / "base", "llama"), "adapter.alpha=0.01")

    half = loretta("merge", small.path, "--output", tmp_path / "half", "--dtype", "bfloat16")
    full = loretta("merge", small.path, "--output", tmp_path / "full")

    assert (half.exit_code, full.exit_code) == (0, 0)
    warnings = [line for line in half.stderr.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 1
    assert "the cast to bfloat16 loses" in warnings[0]
    assert "--dtype float32 loses nothing" in warnings[0]
    assert "warning:" not in full.stderr


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_written(file: Path, *_: Any) -> int:
    """A file whose disk fills up while it is written."""
    file.write_bytes(b"half")
    raise FULL


@pytest.mark.parametrize("at", ["write_tensors", "write_json", "write_config", "write_tokenizer", "finish"])
def test_a_disk_that_fills_up_leaves_nothing(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise FULL

    if at == "write_tensors":
        monkeypatch.setattr(streaming, at, half_written)
    else:
        monkeypatch.setattr(streaming if at == "write_json" else merging, at, fail)

    outcome = merge(run, tmp_path / "place", "--verify", "layers")

    assert_refused(outcome)
    assert outcome.exit_code == 2
    assert "No space left on device" in outcome.stderr
    assert "choose another --output" in outcome.stderr


def test_an_interruption_leaves_nothing(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(merging, "verify_layers", stop)

    assert merge(run, tmp_path / "place", "--verify", "layers").exit_code == 130
