"""The numbers of one run, against numbers by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.grid.axes import Axes
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.results import read_result
from loretta_cli.grid.scores import compare
from tests.grid.fake_runs import cells_of, finish, finish_both_gradients

SEEDS = Axes(methods=("rep",), tasks=("sst2",), seeds=(0, 1, 2))


def test_losses_of_a_run_by_hand(tmp_path: Path) -> None:
    folder, (cell, *_) = GridFolder(tmp_path), cells_of(SEEDS)
    finish(folder, cell, 0.8, evaluated=((1, 0.6), (2, 0.5), (3, 0.9)))

    measures = read_result(folder.run(cell)).measures

    assert measures["best_step"] == 2
    assert measures["train_loss"] == 0.4
    assert (measures["loss_at_best_step"], measures["last_loss"]) == (0.5, 0.9)
    assert measures["loss_gap"] == pytest.approx(0.5)
    # Mean 2/3; squares 1/225, 1/36, 49/900; their sum over 2.
    assert measures["loss_variance"] == pytest.approx((1 / 225 + 1 / 36 + 49 / 900) / 2)
    assert measures["storage_bytes"] == 4096


def test_a_single_evaluation_has_no_variance_and_a_run_without_losses_no_gap(tmp_path: Path) -> None:
    folder, (first, second, _) = GridFolder(tmp_path), cells_of(SEEDS)
    finish(folder, first, 0.8, evaluated=((2, 0.5),))
    finish(folder, second, 0.8, evaluated=())

    assert read_result(folder.run(first)).measures["loss_variance"] is None
    measures = read_result(folder.run(second)).measures
    assert (measures["last_loss"], measures["loss_gap"], measures["loss_at_best_step"]) == (None,) * 3
    (row,) = compare(folder, cells_of(SEEDS)).rows
    assert row.tasks["sst2"].measures["loss_gap"] == pytest.approx(0.1)


def test_a_backpropagated_batch_is_two_passes_and_a_step_as_many_batches_as_it_accumulates(
    tmp_path: Path,
) -> None:
    folder = GridFolder(tmp_path)
    for accumulated in (1, 3):
        (cell, *_) = cells_of(SEEDS, f"training.gradient_accumulation={accumulated}")
        finish(folder, cell, 0.8)
        result = read_result(folder.run(cell))

        assert result.passes == {step: 2 * accumulated * step for step in (1, 2, 3)}
        assert result.measures["passes"] == 2 * accumulated * 3
        assert not result.is_zeroth_order


def test_the_passes_of_a_zeroth_order_run_are_those_it_has_counted(tmp_path: Path) -> None:
    folder = GridFolder(tmp_path)
    _, cell = finish_both_gradients(folder, seeds=(0,))

    result = read_result(folder.run(cell))

    assert result.passes == {1: 14, 2: 24, 3: 34}
    assert result.measures["passes"] == 34
    assert result.is_zeroth_order


def test_the_main_metric_of_the_evaluations_is_read_where_they_have_it(tmp_path: Path) -> None:
    folder, (first, second, _) = GridFolder(tmp_path), cells_of(SEEDS)
    finish(folder, first, 0.8)
    finish(folder, second, 0.8, select_by="loss")

    scored = read_result(folder.run(first)).scored
    assert (scored.steps, scored.values) == ([1, 2, 3], pytest.approx([0.7, 0.6, 0.5]))
    assert not read_result(folder.run(second)).scored
