"""Lists in cells: as the file has them, or written as JSON where a file knows texts only (.csv, .tsv)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence

from loretta_cli.tasks.cells import Cells


def read_list(cells: Cells, column: str, *, of: str, such_as: str) -> Sequence[object]:
    """The list in a cell.

    Args:
        cells: Of the row.
        column: Where it stands.
        of: What it is a list of, for messages.
        such_as: An example in JSON.

    Raises:
        DataError: If it is none.
    """
    value = cells.value(column)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise cells.error(column, f"expected a list of {of}, found {value!r:.60}.", hint=f"Write {such_as}.")
    return value
