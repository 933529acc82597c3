"""The .parquet reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.parquet import read_parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def test_rows_carry_typed_values_file_and_row(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", None], "label": [1, 0], "score": [0.5, 2.0], "tags": [["x"], []]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = read_parquet(tmp_path / "a.parquet", "data/a.parquet")
    assert dict(rows[0].values) == {"text": "a", "label": 1, "score": 0.5, "tags": ["x"]}
    assert rows[1].values["text"] is None
    assert [row.number for row in rows] == [1, 2]
    assert rows[1].place == "data/a.parquet, row 2"


def test_categories_are_read_as_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"label": pa.array(["x", "y"]).dictionary_encode()}), tmp_path / "a.parquet")
    assert [row.values["label"] for row in read_parquet(tmp_path / "a.parquet", "a")] == ["x", "y"]


def test_the_name_of_a_folder_adds_no_column(tmp_path: Path) -> None:
    (tmp_path / "year=2026").mkdir()
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "year=2026" / "a.parquet")
    assert dict(read_parquet(tmp_path / "year=2026" / "a.parquet", "a")[0].values) == {"text": "a"}


@pytest.mark.parametrize("content", [b"", b"text,label\na,1\n", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_a_file_that_is_not_parquet_is_refused_in_one_sentence(
    write: Callable[..., Path], content: bytes
) -> None:
    with pytest.raises(DataError, match=r"^a\.parquet is not a readable Parquet file: ") as caught:
        read_parquet(write("a.parquet", content), "a.parquet")
    assert "\n" not in caught.value.message


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet has no rows"):
        read_parquet(tmp_path / "a.parquet", "a.parquet")


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="the column 'text' twice"):
        read_parquet(tmp_path / "a.parquet", "a.parquet")


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_parquet(tmp_path / "a.parquet", "a.parquet")
