"""What a run was trained on, as numbers."""

from __future__ import annotations

import pytest

from loretta_cli.artifacts.data_digest import describe_data, rows_sha256
from loretta_cli.config import load_config
from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.preparation import TaskData

ROWS = (Example({"sentence": "good"}, 1), Example({"sentence": "bad"}, 0))


def test_the_same_rows_have_one_checksum_wherever_they_were_read() -> None:
    elsewhere = tuple(Example(dict(row.texts), row.label, place="x.csv, line 3") for row in ROWS)

    assert rows_sha256(ROWS) == rows_sha256(elsewhere)


@pytest.mark.parametrize(
    "other",
    [
        ROWS[:1],
        ROWS[::-1],
        (Example({"sentence": "good"}, 0), ROWS[1]),
        (Example({"sentence": "good "}, 1), ROWS[1]),
        (Example({"sentence": "good"}, 1, options=("a", "b")), ROWS[1]),
        (Example({"sentence": "good"}, 1, answers=(("a",),)), ROWS[1]),
    ],
)
def test_any_other_row_or_order_has_another_checksum(other: tuple[Example, ...]) -> None:
    assert rows_sha256(other) != rows_sha256(ROWS)


def test_the_report_names_source_protocol_rows_and_checksums() -> None:
    data = TaskData(TASKS.get("sst2"), ROWS, ROWS[:1], ROWS[1:])

    found = describe_data(load_config(None, {"task.name": "sst2"}).config, data)

    assert found["source"] == TASKS.get("sst2").hub_id
    assert found["protocol"] == "full"
    assert [found[f"{split}_rows"] for split in ("train", "selection", "validation")] == [2, 1, 1]
    assert found["sha256"]["validation"] == rows_sha256(ROWS[:1])
