"""Layer by layer, a merged model is held against base and adapter: what is wrong in its files is noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import torch
from safetensors.torch import save_file

from loretta_cli.artifacts.merging import verifying
from loretta_cli.artifacts.merging.checkpoint import Checkpoint, find_checkpoint
from loretta_cli.artifacts.merging.layout import Entry, merged_files
from loretta_cli.artifacts.merging.streaming import write_merged
from loretta_cli.artifacts.merging.updates import Adapted, Update, read_adapter
from loretta_cli.artifacts.merging.verifying import (
    LAYER_TOLERANCE,
    Verification,
    available_bytes,
    coarser,
    fits_in_memory,
    verify_layers,
)
from loretta_cli.errors import ExportError
from loretta_cli.planning.plan import make_plan
from tests.artifacts.merging.untrained_runs import make_run, save_base, tensors_of


@dataclass
class Merged:
    """A merged model that was just written, before it is verified."""

    base: Checkpoint
    adapted: Adapted
    files: list[list[Entry]]
    folder: Path

    def change(self, part: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> None:
        """Change the first tensor of that name in the file."""
        tensors = tensors_of(self.folder)
        name = next(name for name in tensors if part in name)
        changed = change(tensors.pop(name))
        if changed is not None:
            tensors[name] = changed
        save_file(tensors, self.folder / "model.safetensors")

    def verify(self) -> Verification:
        merged = Checkpoint((self.folder / "model.safetensors",), "the merged model")
        return verify_layers(self.base, merged, self.adapted, self.files)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Merged]:
    """Merge a run of a family and a method."""

    def write(family: str, method: str, *settings: str, dtype: torch.dtype | None = None) -> Merged:
        run = make_run(tmp_path / "run", save_base(tmp_path / "base", family), *settings, method=method)
        plan = make_plan(run.read_config())
        base, adapted = find_checkpoint(plan.source, None), read_adapter(plan, run)
        files = merged_files(base, adapted, dtype)
        (tmp_path / "merged").mkdir()
        write_merged(base, adapted, files, tmp_path / "merged")
        return Merged(base, adapted, files, tmp_path / "merged")

    return write


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("family", "method"), [("llama", "rep"), ("gpt2", "lora"), ("bert", "ia3"), ("t5", "rep")]
)
def test_right_files_pass(write: Callable[..., Merged], family: str, method: str, dtype: torch.dtype) -> None:
    merged = write(family, method, dtype=dtype)

    found = merged.verify()

    weights = [update for update in merged.adapted.updates.values() if update.part == "weight"]
    assert found.kind == "layers"
    assert found.layers == len(weights) > 0
    assert found.comparison.passed
    assert found.of_layers == found.comparison.max_abs_difference
    assert found.of_logits is None
    if dtype != torch.float32:
        assert found.comparison.max_abs_difference > 0


WRONG: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "not updated": lambda tensor: tensor * 0.99,
    "one number": lambda tensor: tensor + 0.5 * torch.nn.functional.one_hot(torch.tensor(7), tensor.shape[1]),
    "transposed": lambda tensor: tensor.t().contiguous(),
    "rows swapped": lambda tensor: tensor.flip(0),
    "no number": lambda tensor: tensor * float("nan"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_wrong_matrix_is_over_the_tolerance(
    write: Callable[..., Merged], wrong: Callable[[torch.Tensor], torch.Tensor], dtype: torch.dtype
) -> None:
    merged = write("llama", "rep", dtype=dtype)
    merged.change("1.self_attn.q_proj.weight", lambda tensor: wrong(tensor.float()).to(tensor.dtype))

    with pytest.raises(ExportError, match=r"q_proj\.weight is not the sum of base and adapter"):
        merged.verify()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_base_written_unchanged_is_noticed_however_small_the_update(
    write: Callable[..., Merged], dtype: torch.dtype
) -> None:
    merged = write("llama", "lora", dtype=dtype)
    update = next(iter(merged.adapted.updates.values()))
    update.module.scaling["default"] *= 1e-3
    name = f"{update.layer}.weight"
    weight = merged.base.read(name)
    assert update.of(weight).norm() < 0.01 * weight.norm()
    merged.change(name, lambda _: merged.base.read(name).to(dtype))

    with pytest.raises(ExportError, match="is not the sum of base and adapter"):
        merged.verify()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("factor", [0.0, 2.0])
def test_a_sum_that_the_adapter_does_not_compute_is_noticed_below_the_rounding(
    write: Callable[..., Merged], monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, factor: float
) -> None:
    right = Update.of
    monkeypatch.setattr(Update, "of", lambda self, tensor: factor * right(self, tensor))
    merged = write("llama", "rep", "adapter.alpha=0.01", dtype=dtype)

    found = merged.verify()

    assert not found.comparison.passed
    too_large_by = found.comparison.max_abs_difference / found.comparison.tolerance
    assert too_large_by < LAYER_TOLERANCE[torch.bfloat16] / LAYER_TOLERANCE[torch.float32]


def test_a_wrong_bias_is_noticed(write: Callable[..., Merged]) -> None:
    merged = write("bert", "ia3")
    merged.change("0.attention.self.key.bias", lambda tensor: tensor + 0.1)

    with pytest.raises(ExportError, match=r"key\.bias is not the sum"):
        merged.verify()


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("embed_tokens", lambda _: None, "embed_tokens.weight is missing, or has another shape"),
        ("embed_tokens", lambda tensor: tensor[:-1].clone(), "another shape or number type"),
        ("embed_tokens", torch.Tensor.half, "another shape or number type"),
        ("model.norm", lambda tensor: tensor + 1e-6, "model.norm.weight has other numbers"),
        ("embed_tokens", lambda tensor: tensor + 1e-6, "embed_tokens.weight has other numbers"),
    ],
)
def test_files_that_are_not_what_was_to_be_written_are_refused(
    write: Callable[..., Merged],
    part: str,
    change: Callable[[torch.Tensor], torch.Tensor | None],
    says: str,
) -> None:
    merged = write("llama", "rep", "adapter.train_norms=true")
    merged.change(part, change)

    with pytest.raises(ExportError, match=says):
        merged.verify()


def test_the_model_is_left_without_weights_after_a_check(write: Callable[..., Merged]) -> None:
    merged = write("llama", "rep")

    first, second = merged.verify(), merged.verify()

    assert first == second
    weights = [one for name, one in merged.adapted.model.named_parameters() if "base_layer" in name]
    assert weights
    assert all(weight.device.type == "meta" for weight in weights)


def test_a_model_fits_if_there_is_room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "available_bytes", lambda: 4001)

    assert fits_in_memory(500, torch.float32)
    assert not fits_in_memory(501, torch.float32)
    assert fits_in_memory(1000, torch.bfloat16)


def test_memory_is_the_least_of_the_machine_and_its_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Memory:
        available = 1000

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(verifying, "_CONTROL_GROUP", tmp_path)
    assert available_bytes() == 1000
    for limit, used, expected in (("max", 5, 1000), ("900", 300, 600), ("5000", 0, 1000), ("300", 400, 0)):
        (tmp_path / "memory.max").write_text(f"{limit}\n", encoding="ascii")
        (tmp_path / "memory.current").write_text(f"{used}\n", encoding="ascii")
        assert available_bytes() == expected
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (200, 4000))
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert available_bytes() == 200


def test_the_coarser_of_two_number_types_sets_the_tolerance() -> None:
    assert coarser(torch.float32, torch.bfloat16) == torch.bfloat16
    assert coarser(torch.bfloat16, torch.float16) == torch.bfloat16
    assert coarser(torch.float64, torch.float32) == torch.float32
