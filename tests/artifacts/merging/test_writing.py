"""The files that are written tensor by tensor are safetensors files like any others."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file

from loretta_cli.artifacts.merging.checkpoint import NUMBER_TYPES
from loretta_cli.artifacts.merging.writing import in_order, write_tensors

TENSORS = {
    "flags": torch.tensor([True, False, True]),
    "half": torch.randn(3, 5).to(torch.bfloat16),
    "ids": torch.arange(7),
    "none": torch.empty(0, 4),
    "single": torch.tensor(2.5),
    "view": torch.randn(6, 4).t(),
    "wide": torch.randn(2, 2, dtype=torch.float64),
}


def write(file: Path, tensors: dict[str, torch.Tensor]) -> int:
    kinds = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
    return write_tensors(file, kinds, (tensors[name] for name in in_order(kinds)))


def test_safetensors_reads_what_was_written(tmp_path: Path) -> None:
    size = write(tmp_path / "out.safetensors", TENSORS)

    found = load_file(tmp_path / "out.safetensors")
    assert set(found) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(found[name], tensor)
    assert size == sum(tensor.numel() * tensor.element_size() for tensor in TENSORS.values())


def test_every_number_type_of_the_files_is_written(tmp_path: Path) -> None:
    tensors = {name: torch.ones(3).to(dtype) for name, dtype in NUMBER_TYPES.items()}

    write(tmp_path / "out.safetensors", tensors)

    found = load_file(tmp_path / "out.safetensors")
    assert {name: tensor.dtype for name, tensor in found.items()} == NUMBER_TYPES


def test_tensors_begin_where_their_numbers_may(tmp_path: Path) -> None:
    write(tmp_path / "out.safetensors", TENSORS)

    content = (tmp_path / "out.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert (8 + length) % 8 == 0
    sizes = [tensor.element_size() for tensor in (TENSORS[name] for name in in_order(_kinds()))]
    assert sizes == sorted(sizes, reverse=True)


def _kinds() -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    return {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in TENSORS.items()}


def test_a_value_is_let_go_before_the_next_is_asked_for(tmp_path: Path) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    def values() -> Iterator[torch.Tensor]:
        for _ in range(4):
            assert all(one() is None for one in alive)
            tensor = torch.ones(3)
            alive.append(weakref.ref(tensor))
            yield tensor
            del tensor

    kinds = {name: (torch.float32, (3,)) for name in "abcd"}
    write_tensors(tmp_path / "out.safetensors", kinds, values())
    assert len(alive) == 4
