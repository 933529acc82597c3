"""Numbers of a comparison, against numbers by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.errors import RunError
from loretta_cli.grid.axes import Axes
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.layout import rows_of
from loretta_cli.grid.results import read_result
from loretta_cli.grid.scores import compare, published_for
from tests.grid.fake_runs import cells_of, finish, finish_both_gradients

SEEDS = Axes(methods=("rep",), tasks=("sst2",), seeds=(0, 1, 2))
TWO_TASKS = Axes(methods=("rep", "lora"), tasks=("sst2", "trec"))


def test_mean_and_deviation_are_over_the_finished_seeds(tmp_path: Path) -> None:
    folder, cells = GridFolder(tmp_path), cells_of(SEEDS)
    finish(folder, cells[0], 0.80)
    (one,) = compare(folder, cells).rows
    finish(folder, cells[2], 0.90)
    (two,) = compare(folder, cells).rows

    assert (one.tasks["sst2"].mean, one.tasks["sst2"].deviation) == (0.80, None)
    score = two.tasks["sst2"]
    assert score.scores == (0.80, 0.90)
    assert score.mean == pytest.approx(0.85)
    # Sample deviation: sqrt((0.05² + 0.05²) / 1).
    assert score.deviation == pytest.approx(0.0707106781)


def test_a_mean_over_tasks_needs_all_of_them(tmp_path: Path) -> None:
    folder, cells = GridFolder(tmp_path), cells_of(TWO_TASKS)
    for cell in cells[:3]:
        finish(folder, cell, {"sst2": 0.9, "trec": 0.6}[cell.task])
    comparison = compare(folder, cells)

    assert [row.label for row in comparison.rows] == ["rep", "lora"]
    assert comparison.mean_over_tasks(comparison.rows[0]) == pytest.approx(0.75)
    assert comparison.mean_over_tasks(comparison.rows[1]) is None


def test_perplexities_have_no_mean_over_tasks(tmp_path: Path) -> None:
    folder, cells = GridFolder(tmp_path), cells_of(TWO_TASKS)
    for cell in cells:
        finish(folder, cell, 12.0, metric="perplexity")
    comparison = compare(folder, cells)

    assert comparison.mean_over_tasks(comparison.rows[0]) is None


def test_a_damaged_run_counts_as_failed_and_the_others_stand(tmp_path: Path) -> None:
    folder, cells = GridFolder(tmp_path), cells_of(SEEDS)
    for cell in cells[:2]:
        finish(folder, cell, 0.8)
    folder.run(cells[0]).report_file.write_text('{"metrics": {}}', encoding="utf-8")
    comparison = compare(folder, cells)

    with pytest.raises(RunError, match="damaged"):
        read_result(folder.run(cells[0]))
    assert [cell.state for cell in comparison.cells] == ["failed", "finished", "waiting"]
    assert comparison.rows[0].tasks["sst2"].scores == (0.8,)


@pytest.mark.parametrize(
    ("recipe", "score", "table"),
    [
        ("table1-deberta-sst2-lora", 94.95, "LoRETTA Table 1"),
        ("table1-deberta-sst2-lora-r4", 94.49, "LoRETTA Table 1"),
        ("table6-sst2-adp-rank10", 94.84, "LoRETTA Table 6"),
        ("table7-mrpc-adp-64x12x64", 93.05, "LoRETTA Table 7"),
        ("table11-mrpc-adp-tt-norms", 92.53, "LoRETTA Table 11"),
        ("table2-boolq-adp", 87.0, "LoRETTA Table 2"),
    ],
)
def test_the_papers_number_is_that_of_the_rows_settings(recipe: str, score: float, table: str) -> None:
    (cell,) = cells_of(Axes(recipes=(f"paper/{recipe}",)))
    (key,) = rows_of((cell,))

    published = published_for(key, cell.task)

    assert published is not None
    assert (published.score, published.table) == (score, table)


def test_a_model_that_no_paper_has_gets_no_number() -> None:
    cells = cells_of(SEEDS)
    (key,) = rows_of(cells)

    assert published_for(key, "sst2") is None


@pytest.mark.parametrize("setting", [("adapter.tt_rank", 32), ("adapter.preset", "lean")])
def test_settings_that_the_paper_did_not_print_get_no_number(setting: tuple[str, object]) -> None:
    name, value = setting
    axes = Axes(
        models=("microsoft/deberta-base",), methods=("adp",), tasks=("sst2",), settings={name: (value,)}
    )
    (key,) = rows_of(cells_of(axes))

    assert published_for(key, "sst2") is None


def test_a_row_by_forward_passes_gets_the_number_of_one() -> None:
    axes = Axes(models=("meta-llama/Llama-2-7b-hf",), methods=("adp",), tasks=("boolq",))
    tables = []
    for gradient in ("backprop", "zo"):
        (key,) = rows_of(cells_of(axes, f"training.gradient={gradient}"))
        published = published_for(key, "boolq")
        assert published is not None
        tables.append((published.table, published.gradient))

    assert tables == [("LoRETTA Table 2", "backprop"), ("AdaZeta", "zo")]


def test_a_comparison_knows_whether_forward_passes_alone_trained_one_that_is_finished(
    tmp_path: Path,
) -> None:
    folder = GridFolder(tmp_path)
    backprop, zo = finish_both_gradients(folder, seeds=(0,))

    assert compare(folder, (backprop, zo)).has_zeroth_order
    assert not compare(folder, (backprop,)).has_zeroth_order
    folder.run(zo).report_file.unlink()
    assert not compare(folder, (backprop, zo)).has_zeroth_order
