"""The files of a comparison."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from loretta_cli.grid import writing
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.scores import Comparison, compare
from loretta_cli.grid.writing import write_comparison
from tests.grid.fake_runs import TWO_BY_TWO, cells_of, finish_both_gradients


def test_markdown_csv_and_json_say_the_same(
    folder: GridFolder, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "draw_comparison", lambda folder, comparison: None)
    write_comparison(folder, comparison)
    document: dict[str, Any] = json.loads(folder.document.read_text(encoding="utf-8"))
    with folder.csv.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    text = folder.table.read_text(encoding="utf-8")

    assert document["schema_version"] == 1
    assert [(line["row"], line["task"]) for line in lines] == [
        *(("rep", "sst2"), ("rep", "trec"), ("lora", "sst2"), ("lora", "trec")),
    ]
    for line in lines:
        (row,) = [row for row in document["rows"] if row["row"] == line["row"]]
        score = row["tasks"][line["task"]]
        assert float(line["score"]) == score["score"]
        assert int(line["seeds"]) == len(score["scores"]) == 2
        assert line["trainable_parameters"] == str(score["trainable_parameters"])
        for name in ("deviation", "train_loss", "last_loss", "loss_gap", "loss_variance"):
            assert float(line[name]) == score[name]
        assert f"{100 * score['score']:.2f} ± {100 * score['deviation']:.2f} (2)" in text
    assert {cell["state"] for cell in document["cells"]} == {"finished"}


def test_the_pictures_are_there_and_not_blank(folder: GridFolder, comparison: Comparison) -> None:
    write_comparison(folder, comparison)

    for picture in (folder.scores_picture, folder.losses_picture):
        pixels = np.asarray(imread(picture))[:, :, :3]
        assert pixels.shape[1] > 900
        # Colours, not axes alone.
        assert (pixels.max(axis=2) - pixels.min(axis=2) > 0.3).sum() > 200


def test_before_the_first_run_is_finished_there_is_a_table_and_no_picture(tmp_path: Path) -> None:
    folder, cells = GridFolder(tmp_path / "comparison"), cells_of(TWO_BY_TWO)

    write_comparison(folder, compare(folder, cells))

    assert "0 of 8 runs finished" in folder.table.read_text(encoding="utf-8")
    assert not folder.scores_picture.exists()


def test_the_picture_of_passes_is_there_as_long_as_it_has_something_to_say(tmp_path: Path) -> None:
    folder = GridFolder(tmp_path / "comparison")
    backprop, zo = finish_both_gradients(folder, seeds=(0,))

    write_comparison(folder, compare(folder, (backprop, zo)))
    pixels = np.asarray(imread(folder.passes_picture))[:, :, :3]
    assert (pixels.max(axis=2) - pixels.min(axis=2) > 0.3).sum() > 200

    write_comparison(folder, compare(folder, (backprop,)))
    assert not folder.passes_picture.exists()
