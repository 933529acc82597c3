"""Reads .parquet. Imports errors, rows and text; pyarrow only when a file is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.rows import Row
from loretta_cli.tasks.sources.text import read_bytes

if TYPE_CHECKING:
    from pathlib import Path


def read_parquet(path: Path, name: str) -> tuple[Row, ...]:
    """Read a .parquet file.

    Args:
        path: Where the file is.
        name: What the user calls it.

    Returns:
        At least one row, numbered from 1.

    Raises:
        DataError: If the file cannot be read, is not Parquet, has a column twice, or has no row.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = read_bytes(path, name)
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{name} is not a readable Parquet file: {reason}.") from error
    columns: list[str] = table.column_names
    doubled = next((column for column in columns if columns.count(column) > 1), None)
    if doubled is not None:
        raise DataError(f"{name} has the column {doubled!r} twice.", hint="Rename one of them.")
    if table.num_rows == 0:
        raise DataError(f"{name} has no rows.")
    return tuple(Row(values, name, number) for number, values in enumerate(table.to_pylist(), start=1))
