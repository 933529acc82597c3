"""The size table: what it computes without making the forms is what they have when they are made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import save_file

from loretta_cli.artifacts.sizes import NUMBER_BYTES, lora_tensors, saved_bytes
from loretta_cli.artifacts.tensor_header import (
    StoredShape,
    file_bytes,
    header_bytes,
    is_whole,
    read_header,
)
from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig, lora_form
from tests.tiny_models import tiny_model


def _saved(folder: Path, model: object) -> dict[str, StoredShape]:
    model.save_pretrained(str(folder))  # type: ignore[attr-defined]
    return read_header(folder / "adapter_model.safetensors")


ADAPTERS: dict[str, Callable[[], LorettaRepConfig]] = {
    "plain": lambda: LorettaRepConfig(r=8, tt_rank=5, target_modules=["query", "value"]),
    "bottleneck below the TT rank": lambda: LorettaRepConfig(
        r=4, tt_rank=6, target_modules=["query", "key", "dense"], exclude_modules=r".*classifier.*"
    ),
    "noise reduction": lambda: LorettaRepConfig(
        r=8, tt_rank=3, target_modules=["query"], init_weights="noise-reduction"
    ),
    "a layer of two outputs": lambda: LorettaRepConfig(
        r=8, tt_rank=5, target_modules=["query", "classifier.out_proj"]
    ),
    "norms and the dense head": lambda: LorettaRepConfig(
        r=8, tt_rank=5, target_modules=["query"], modules_to_save=["LayerNorm", "classifier"]
    ),
}


@pytest.mark.parametrize("make", ADAPTERS.values(), ids=ADAPTERS)
def test_the_size_of_a_lora_is_that_of_the_lora(make: Callable[[], LorettaRepConfig], tmp_path: Path) -> None:
    model = get_peft_model(tiny_model("roberta"), make())
    stored = _saved(tmp_path, model)
    bottleneck = json.loads((tmp_path / "adapter_config.json").read_text(encoding="utf-8"))["r"]
    file = tmp_path / "lora.safetensors"
    _, tensors = lora_form(model)
    save_file(tensors, file, metadata={"format": "pt"})

    found = lora_tensors(stored, bottleneck, saved_as="F32")

    assert found == read_header(file)
    assert file_bytes(found, metadata={"format": "pt"}) == file.stat().st_size
    assert saved_bytes(found) == 4 * sum(
        tensor.numel() for name, tensor in tensors.items() if ".lora_" not in name
    )


def test_an_adapter_that_is_no_rep_has_no_such_size(tmp_path: Path) -> None:
    adp = get_peft_model(tiny_model("roberta"), LorettaAdpConfig(bottleneck=8, tt_rank=5))

    assert lora_tensors(_saved(tmp_path, adp), 8, saved_as="F32") is None
    assert lora_tensors({}, 8, saved_as="F32") is None


def test_a_file_of_several_number_types_has_the_computed_size(tmp_path: Path) -> None:
    file = tmp_path / "some.safetensors"
    tensors = {"b": torch.zeros(3, dtype=torch.bfloat16), "a": torch.zeros(2), "c": torch.zeros(0, 4)}
    save_file(tensors, file, metadata={"format": "pt"})

    assert file_bytes(read_header(file), metadata={"format": "pt"}) == file.stat().st_size


def test_a_file_that_was_cut_short_is_not_whole(tmp_path: Path) -> None:
    file = tmp_path / "some.safetensors"
    save_file({"a": torch.zeros(20)}, file)
    content = file.read_bytes()

    assert is_whole(file)
    for torn in (content[:-1], content[:20], b"", content + b"x"):
        file.write_bytes(torn)
        assert not is_whole(file), len(torn)


def test_a_header_tells_of_every_tensor(tmp_path: Path) -> None:
    file = tmp_path / "some.safetensors"
    tensors = {"a": torch.zeros(2, 3), "b": torch.zeros(5, dtype=torch.bfloat16)}
    save_file(tensors, file, metadata={"format": "pt"})

    found = read_header(file)

    assert found == {"a": StoredShape("F32", (2, 3), 24), "b": StoredShape("BF16", (5,), 10)}
    assert {tensor.bytes // tensor.numbers for tensor in found.values()} == {
        NUMBER_BYTES["F32"],
        NUMBER_BYTES["BF16"],
    }
    with file.open("rb") as opened:
        assert file.stat().st_size - header_bytes(opened, file.stat().st_size) == 34


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 20, b"\x02" + bytes(7) + b"[]", b"\x02" + bytes(7) + b"{"]
)
def test_a_header_that_cannot_be_read_has_no_tensors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "torn.safetensors").write_bytes(content)

    assert read_header(tmp_path / "torn.safetensors") == {}
