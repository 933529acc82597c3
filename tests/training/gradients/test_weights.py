"""Weights that are perturbed and updated in place: the arithmetic, its repetition, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from loretta_cli.measure.live_memory import peak_rise_bytes
from loretta_cli.training.gradients import weights as module
from loretta_cli.training.gradients.directions import DirectionStream, Distribution
from loretta_cli.training.gradients.trajectory import Record
from loretta_cli.training.gradients.vector import ParameterVector
from loretta_cli.training.gradients.weights import Weights

SHAPES = {"a.bias": (7,), "b.weight": (40, 30), "c.weight": (5, 3, 11)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 500)
    monkeypatch.setattr(module, "CHUNK", 64)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def make(dtype: torch.dtype = torch.float32, **options: Any) -> Weights:
    drawn = torch.Generator().manual_seed(3)
    values = {
        name: nn.Parameter(torch.randn(shape, generator=drawn, dtype=dtype)) for name, shape in SHAPES.items()
    }
    settings: dict[str, Any] = {
        "seed": 5,
        "distribution": "gaussian",
        "two_sided": True,
        "weight_decay": 0.1,
        "undecayed": ("a.bias",),
        **options,
    }
    return Weights(ParameterVector(values), **settings)


def record(*g: float | None, step: int = 4, eps: float = 1e-2, event: str = "") -> Record:
    return Record(step, 1.0, g, eps=eps, lr=0.3, scale=0.5, forward_passes=2, event=event)


def direction(query: int, step: int = 4, distribution: Distribution = "gaussian") -> torch.Tensor:
    """What the weights should draw: of every block on its own, in one piece."""
    sizes = [size for name in sorted(SHAPES) for size in _blocks(torch.Size(SHAPES[name]).numel())]
    parts = [
        DirectionStream(5, step, query, distribution, block=number).draw(size)
        for number, size in enumerate(sizes)
    ]
    return torch.cat(parts)


def _blocks(size: int) -> list[int]:
    return [min(500, size - start) for start in range(0, size, 500)]


@pytest.mark.parametrize("distribution", ["gaussian", "rademacher"])
def test_losses_are_those_at_the_perturbed_points(distribution: Distribution) -> None:
    weights = make(distribution=distribution)
    start, seen = weights.vector.read(), []

    def loss() -> float:
        seen.append(weights.vector.read())
        return float(len(seen))

    found = weights.losses_at(4, 2, {(0, 1), (0, -1), (1, 1), (1, -1)}, loss, 1e-2)

    assert found == {(0, 1): 1.0, (0, -1): 2.0, (1, 1): 3.0, (1, -1): 4.0}
    for values, (query, side) in zip(seen, found, strict=True):
        expected = start + side * 1e-2 * direction(query, distribution=distribution)
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(weights.vector.read(), start, rtol=0, atol=1e-6)


def test_a_step_is_the_textbook_update_computed_in_float64() -> None:
    weights = make()
    start = weights.vector.read().double()
    weights.take(record(2.0, None, -1.0), is_away=False)

    gradient = 0.5 * (2.0 * direction(0).double() - direction(2).double()) / 2
    decayed = torch.cat(
        [torch.full((torch.Size(SHAPES[n]).numel(),), float(n != "a.bias")) for n in sorted(SHAPES)]
    )
    expected = start - 0.3 * (gradient + 0.1 * decayed.double() * start)
    torch.testing.assert_close(weights.vector.read().double(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("g", [(1.5,), (0.5, None, -2.0), (None, None)])
def test_a_step_taken_from_its_record_has_the_same_bits(
    dtype: torch.dtype, two_sided: bool, g: tuple[float | None, ...]
) -> None:
    measured, repeated = make(dtype, two_sided=two_sided), make(dtype, two_sided=two_sided)
    before = measured.digest()
    measured.losses_away(4, len(g), {(0, 0)}, lambda: 0.0, 1e-2)
    away = measured.digest()
    measured.take(record(*g), is_away=True)
    repeated.take(record(*g), is_away=False)

    assert measured.digest() == repeated.digest()
    assert len({before, away, repeated.digest()}) == 3


def test_a_process_that_evaluates_some_of_the_points_rounds_as_one_that_evaluates_all() -> None:
    some, every = make(torch.bfloat16), make(torch.bfloat16)
    some.losses_at(0, 2, {(1, 1)}, lambda: 0.0, 1e-2)
    every.losses_at(0, 2, {(0, 1), (0, -1), (1, 1), (1, -1)}, lambda: 0.0, 1e-2)

    assert some.digest() == every.digest()


@pytest.mark.usefixtures("two_threads")
def test_threads_and_the_size_of_a_chunk_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = make()
    weights.take(record(1.0, 2.0), is_away=False)
    torch.set_num_threads(1)
    monkeypatch.setattr(module, "CHUNK", 33)
    other = make()
    other.take(record(1.0, 2.0), is_away=False)

    assert weights.digest() == other.digest()


def test_the_digest_sees_a_single_bit() -> None:
    weights = make(torch.bfloat16)
    before = weights.digest()
    weights.vector.parameters[1].data.view(torch.int16)[3, 4] ^= 1

    assert weights.digest() != before


def test_a_step_takes_no_more_memory_than_a_few_chunks() -> None:
    weights = make()
    points = {(0, 1), (0, -1)}

    def step() -> None:
        weights.losses_away(0, 1, points, lambda: 0.0, 1e-2)
        weights.take(record(1.0, step=0), is_away=True)

    assert peak_rise_bytes(step, torch.device("cpu")) <= 4 * 64 * 4
    assert all(parameter.grad is None for parameter in weights.vector.parameters)
