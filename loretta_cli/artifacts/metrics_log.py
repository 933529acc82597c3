"""The log of a run's numbers, ``metrics.jsonl``: one JSON object a line; a crash costs at most the last.

Each line holds ``step``, ``split`` and values. Imports only :mod:`errors` and :mod:`replacing`.
"""

from __future__ import annotations

import csv
import json
import math
from numbers import Integral
from typing import TYPE_CHECKING, SupportsFloat

from loretta_cli.artifacts.files import read_bytes
from loretta_cli.errors import RunError
from loretta_cli.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class MetricsLog:
    """Appends to, reads and trims one log file. One process at a time may write it.

    Args:
        path: The file; it need not exist, its folder must.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_whole = False

    def append(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Add one line; it is with the operating system when this returns.

        Args:
            step: Optimizer steps done.
            split: ``train``, ``validation`` or ``test``.
            values: Numbers by name; NaN and infinities are written as null. A ``step`` or ``split`` among
                them does not win over the arguments.

        Raises:
            RunError: If the file holds a broken line that is not its last.
        """
        if not self._is_whole:
            self._drop_torn_line()
        record = {
            name: _json_number(value) for name, value in values.items() if name not in ("step", "split")
        }
        text = json.dumps({"step": int(step), "split": split, **record}, allow_nan=False)
        with self.path.open("ab") as file:
            file.write(text.encode() + b"\n")

    def read(self) -> list[dict[str, object]]:
        """All records, in the order of the file; none if there is no file.

        A last line that a crash left unfinished is ignored.

        Raises:
            RunError: If another line is no record.
        """
        if not self.path.exists():
            return []
        records: list[dict[str, object]] = []
        lines = read_bytes(self.path).splitlines()
        for number, line in enumerate(lines, start=1):
            record = _parse(line)
            if record is not None:
                records.append(record)
            elif number < len(lines):
                raise RunError(
                    f"Line {number} of {self.path} is not a JSON object with a step and a split.",
                    hint="Only the last line may be broken, by a crash. Remove the line, then try again.",
                )
        return records

    def truncate_after(self, step: int) -> None:
        """Drop the records of later steps: a resumed run will write them again.

        Args:
            step: The last step to keep.

        Raises:
            RunError: If the file holds a broken line that is not its last.
        """
        if self.path.exists():
            self._rewrite([record for record in self.read() if _step_of(record) <= step])

    def write_csv(self, path: Path) -> None:
        """Write all records as a CSV file; an absent or null value is an empty cell.

        Args:
            path: The file to write. Its columns are ``step``, ``split``, then every name in the log in
                order of first appearance.

        Raises:
            RunError: If the log holds a broken line that is not its last.
        """
        records = self.read()
        columns = dict.fromkeys(["step", "split", *(name for record in records for name in record)])
        with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(columns), lineterminator="\n")
            writer.writeheader()
            writer.writerows(records)

    def _drop_torn_line(self) -> None:
        """Make the file end after a whole line, so that the next one does not grow on a torn one."""
        if self.path.exists():
            content = self.path.read_bytes()
            if content and not (content.endswith(b"\n") and _parse(content.splitlines()[-1]) is not None):
                self._rewrite(self.read())
        self._is_whole = True

    def _rewrite(self, records: list[dict[str, object]]) -> None:
        """Replace the file by these records."""
        with replacing(self.path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
        self._is_whole = True


def _parse(line: bytes) -> dict[str, object] | None:
    """Return the record in ``line``, or None if it holds none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("step"), int) or "split" not in record:
        return None
    return record


def _step_of(record: Mapping[str, object]) -> int:
    """Return the step of a record, which :func:`_parse` has checked."""
    step = record["step"]
    assert isinstance(step, int)
    return step


def _json_number(value: SupportsFloat) -> int | float | None:
    """``value`` (numpy scalars too) as a number that JSON has, or None."""
    if isinstance(value, Integral):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None
