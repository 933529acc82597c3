"""Counts of cells, without training."""

from __future__ import annotations

from loretta_cli.grid.axes import Axes
from loretta_cli.grid.counts import count_cells
from tests.grid.fake_runs import cells_of


def test_cells_are_counted_with_the_labels_of_their_task() -> None:
    axes = Axes(models=("microsoft/deberta-base",), methods=("head",), tasks=("sst2", "trec"))

    counts = count_cells(cells_of(axes))

    two, six = (counts[f"{task}-head-deberta-base-seed0"] for task in ("sst2", "trec"))
    assert isinstance(two, int)
    assert isinstance(six, int)
    assert six - two == 4 * (768 + 1)


def test_what_cannot_be_counted_is_told_and_the_others_are_counted() -> None:
    axes = Axes(models=("roberta-base", "./no-such-model"), methods=("rep",), tasks=("sst2",))

    counts = count_cells(cells_of(axes))

    assert isinstance(counts["sst2-rep-roberta-base-seed0"], int)
    assert "no-such-model" in str(counts["sst2-rep-no-such-model-seed0"])
