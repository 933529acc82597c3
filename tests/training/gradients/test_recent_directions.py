"""The directions of a step are the right ones, kept where they are small, and drawn as seldom as can be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from loretta_cli.training.gradients import recent_directions
from loretta_cli.training.gradients.directions import direction
from loretta_cli.training.gradients.recent_directions import RecentDirections
from loretta_cli.training.gradients.vector import ParameterVector

SIZE = 10


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Takes down what is drawn."""
    seen: list[tuple[int, int]] = []

    def counted(seed: int, step: int, query: int, *rest: object) -> torch.Tensor:
        seen.append((step, query))
        return direction(seed, step, query, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(recent_directions, "direction", counted)
    return seen


def recent() -> RecentDirections:
    return RecentDirections(3, "gaussian", ParameterVector({"one": nn.Parameter(torch.zeros(2, 5))}))


def test_small_directions_are_drawn_once_a_step(drawn: list[tuple[int, int]]) -> None:
    draw = recent()
    for step in (0, 1):
        for query in (0, 0, 1, 1, 0, 1):
            assert torch.equal(draw(step, query), direction(3, step, query, SIZE, "gaussian"))
    assert drawn == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_of_large_directions_the_first_and_the_last_are_kept(
    drawn: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_directions, "MOST_BYTES", 3 * 4 * SIZE)
    draw = recent()
    for query in (0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3):
        assert torch.equal(draw(0, query), direction(3, 0, query, SIZE, "gaussian"))
    assert [query for _, query in drawn] == [0, 1, 2, 3, 2, 3]


def test_a_direction_beyond_all_memory_is_kept_alone(
    drawn: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_directions, "MOST_BYTES", 1)
    draw = recent()
    for query in (0, 0, 1, 1):
        draw(5, query)
    assert drawn == [(5, 0), (5, 1)]
