"""A comparison for programs."""

from __future__ import annotations

import csv
from pathlib import Path

from loretta_cli.grid.documents import as_json, csv_text
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.scores import Comparison, compare
from tests.grid.fake_runs import finish_two_data_sets


def test_each_data_set_of_a_task_is_an_entry_with_the_task_and_the_data(tmp_path: Path) -> None:
    folder = GridFolder(tmp_path)
    cells = finish_two_data_sets(folder)
    comparison = compare(folder, cells)

    document = as_json(comparison)
    lines = list(csv.DictReader(csv_text(comparison).splitlines()))

    names = ["classification on reviews", "classification on tickets"]
    assert document["tasks"] == list(document["rows"][0]["tasks"]) == names
    entries = document["rows"][0]["tasks"].values()
    assert [(one["task"], one["data"], one["score"]) for one in entries] == [
        ("classification", "reviews.csv", 0.9),
        ("classification", "tickets.csv", 0.7),
    ]
    assert [(cell["task"], cell["column"], cell["data"]) for cell in document["cells"]] == [
        ("classification", names[0], "reviews.csv"),
        ("classification", names[1], "tickets.csv"),
    ]
    assert [(line["task"], line["data"], line["score"]) for line in lines] == [
        (names[0], "reviews.csv", "0.9"),
        (names[1], "tickets.csv", "0.7"),
    ]


def test_of_a_task_with_one_data_set_the_column_is_the_task(comparison: Comparison) -> None:
    document = as_json(comparison)

    assert document["tasks"] == ["sst2", "trec"]
    assert all(cell["task"] == cell["column"] for cell in document["cells"])
