"""The cells of a grid: names, configs, rows of the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.grid.axes import Axes
from tests.grid.fake_runs import cells_of

TWO_BY_TWO = Axes(methods=("adp", "lora"), tasks=("sst2", "trec"), seeds=(0, 1))


def test_the_first_seed_comes_first_and_a_task_stays_together() -> None:
    names = [cell.name for cell in cells_of(TWO_BY_TWO)]

    assert names[:5] == [
        "sst2-adp-minilm-seed0",
        "sst2-lora-minilm-seed0",
        "trec-adp-minilm-seed0",
        "trec-lora-minilm-seed0",
        "sst2-adp-minilm-seed1",
    ]
    assert len(names) == len(set(names)) == 8


def test_a_cell_keeps_its_name_when_the_grid_grows() -> None:
    before = {cell.name for cell in cells_of(TWO_BY_TWO)}
    bigger = Axes(methods=("rep", "adp", "lora"), tasks=("sst2", "trec", "rte"), seeds=(0, 1, 2))

    assert before < {cell.name for cell in cells_of(bigger)}


def test_a_recipe_gives_what_no_flag_says() -> None:
    (cell,) = cells_of(Axes(recipes=("paper/table6-sst2-adp-rank10",), seeds=(3,)))

    assert cell.name == "paper-table6-sst2-adp-rank10-seed3"
    assert (cell.task, cell.method, cell.model) == ("sst2", "adp", "microsoft/deberta-base")
    assert cell.config.adapter.tt_rank == 10
    assert cell.config.training.seed == 3


def test_a_flag_wins_over_a_recipe_and_stands_in_the_name() -> None:
    (cell,) = cells_of(Axes(recipes=("paper/table6-sst2-adp-rank10",), methods=("rep",)))

    assert (cell.name, cell.method) == ("paper-table6-sst2-adp-rank10-rep-seed0", "rep")


def test_settings_of_a_grid_vary_and_are_part_of_name_and_row() -> None:
    axes = Axes(
        methods=("rep",),
        tasks=("sst2",),
        settings={"adapter.tt_rank": (2, 5), "adapter.train_norms": (True, False)},
    )

    cells = cells_of(axes)

    assert [cell.config.adapter.tt_rank for cell in cells] == [2, 2, 5, 5]
    assert cells[1].name == "sst2-rep-minilm-tt_rank=2-train_norms=false-seed0"


def test_a_setting_is_said_by_the_grid_or_on_the_command_line() -> None:
    axes = Axes(methods=("rep",), tasks=("sst2",), settings={"training.epochs": (3,)})
    with pytest.raises(ConfigError, match=r"--set fixes training\.epochs, which the grid varies"):
        cells_of(axes, "training.epochs=1")
    with pytest.raises(ConfigError, match=r"training.epochs: found .many. \(grid\)"):
        cells_of(Axes(methods=("rep",), tasks=("sst2",), settings={"training.epochs": ("many",)}))


def test_data_of_several_tasks_lies_in_a_folder_for_each_if_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()

    cells = cells_of(Axes(methods=("rep",), tasks=("sst2", "trec")), data=str(tmp_path))

    assert [cell.config.data.source for cell in cells] == [str(tmp_path / "sst2"), str(tmp_path)]


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        cells_of(Axes(methods=("repp", "lroa"), tasks=("sst3",)), "training.sed=1")

    for told in ("'rep'", "'lora'", "'sst5'", "'training.seed'"):
        assert told in caught.value.message


def test_a_missing_model_and_two_cells_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no model and no task"):
        cells_of(Axes(models=(), recipes=("quickstart",)), "model.name=null", "task.name=null")
    with pytest.raises(ConfigError, match="one name"):
        cells_of(Axes(models=("a/model", "b/model"), tasks=("sst2",)))


def test_a_recipe_of_several_tasks_in_turn_is_refused() -> None:
    with pytest.raises(ConfigError, match="one after the other"):
        cells_of(Axes(recipes=("paper/table4-sequential-adp",)))


def test_backpropagation_in_a_grid_of_gradients_stands_once_without_settings_of_zeroth_order() -> None:
    settings = {"training.gradient": ("backprop", "zo"), "zo.queries": (1, 4)}

    cells = cells_of(Axes(methods=("adp",), tasks=("sst2",), settings=settings))

    assert [cell.name for cell in cells] == [
        "sst2-adp-minilm-gradient=backprop-seed0",
        "sst2-adp-minilm-gradient=zo-queries=1-seed0",
        "sst2-adp-minilm-gradient=zo-queries=4-seed0",
    ]
    assert [cell.config.zo.queries for cell in cells] == [1, 1, 4]


def test_settings_of_zeroth_order_are_not_dropped_in_silence_where_nothing_reads_them() -> None:
    settings = {"training.gradient": ("backprop",), "zo.queries": (1, 4)}

    cells = cells_of(Axes(methods=("adp",), tasks=("sst2",), settings=settings))

    assert [cell.config.zo.queries for cell in cells] == [1, 4]
