"""The folder of a comparison: ``cells/NAME`` is a run, ``cells/NAME.yaml`` what was asked of it.

The second is a recipe of its own: ``loretta train cells/NAME.yaml`` does the same run again. Beside them lies
``cells/NAME.failure.json`` where a run failed. Imports artifacts and config; nothing heavy.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import yaml

from loretta_cli.artifacts.files import check_writable, explained, write_json, write_text
from loretta_cli.artifacts.run_folder import RunFolder, remove_run
from loretta_cli.config import Config, load_config, setting_fields
from loretta_cli.errors import ConfigError, LorettaError, OutputError
from loretta_cli.grid.cells import Cell, value_text

State = Literal["waiting", "unfinished", "finished", "failed", "differs"]
"""``waiting``: nothing there; ``differs``: a run with other settings than are asked for now."""


@dataclass(frozen=True, slots=True)
class GridFolder:
    """The folder that ``--output`` names."""

    path: Path

    @property
    def cells(self) -> Path:
        """Where the runs are."""
        return self.path / "cells"

    @property
    def table(self) -> Path:
        """The tables as Markdown."""
        return self.path / "comparison.md"

    @property
    def csv(self) -> Path:
        """One line for each row of the table and each task."""
        return self.path / "comparison.csv"

    @property
    def document(self) -> Path:
        """Everything as JSON."""
        return self.path / "comparison.json"

    @property
    def scores_picture(self) -> Path:
        """Score against trainable parameters."""
        return self.path / "comparison.png"

    @property
    def losses_picture(self) -> Path:
        """Train and evaluation loss over the steps."""
        return self.path / "losses.png"

    @property
    def passes_picture(self) -> Path:
        """Losses and scores over forward passes, where forward passes alone trained a row."""
        return self.path / "passes.png"

    def run(self, cell: Cell) -> RunFolder:
        """The run of a cell."""
        return RunFolder(self.cells / cell.name)

    def asked_file(self, cell: Cell) -> Path:
        """What was asked when the cell was last started."""
        return self.cells / f"{cell.name}.yaml"

    def failure_file(self, cell: Cell) -> Path:
        """Why it failed."""
        return self.cells / f"{cell.name}.failure.json"

    def state(self, cell: Cell) -> State:
        """How far a cell is."""
        run = self.run(cell)
        if self._asked_before(cell) != _plain(cell.config):
            return "differs" if run.config_file.is_file() else "waiting"
        if run.finished:
            return "finished"
        if self.failure_file(cell).is_file():
            return "failed"
        return "unfinished" if run.config_file.is_file() else "waiting"

    def failure(self, cell: Cell) -> str:
        """The sentence that says why a cell failed."""
        try:
            reason = json.loads(self.failure_file(cell).read_text(encoding="utf-8"))["reason"]
        except (OSError, ValueError, KeyError, TypeError):
            return "unknown: its failure.json cannot be read"
        return str(reason)

    def begun(self, cell: Cell) -> bool:
        """Whether there is a run to go on with."""
        return self.state(cell) in ("unfinished", "failed") and self.run(cell).config_file.is_file()

    def start(self, cell: Cell) -> None:
        """Write down what is asked of a cell; forget an old failure, and a run that cannot be gone on with.

        That is one with other settings, and a finished one (whose files are damaged).

        Raises:
            OutputError: If it cannot be written.
        """
        settings = cell.config.model_dump(mode="json", exclude_unset=True)
        with explained(self.cells):
            self.cells.mkdir(parents=True, exist_ok=True)
            if self.state(cell) in ("differs", "finished"):
                self.forget(cell)
            self.failure_file(cell).unlink(missing_ok=True)
        write_text(self.asked_file(cell), yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))

    def forget(self, cell: Cell) -> None:
        """Remove a cell's run.

        Raises:
            OutputError: If it cannot be removed.
        """
        with explained(self.cells):
            # In this order, so that a crash never leaves the old run beside new settings.
            self.asked_file(cell).unlink(missing_ok=True)
            remove_run(self.run(cell).path)

    def fail(self, cell: Cell, error: Exception) -> str:
        """Write down why a cell failed; returns the sentence.

        Raises:
            OutputError: If it cannot be written.
        """
        reason = reason_of(error)
        document: dict[str, Any] = {"reason": reason}
        if isinstance(error, LorettaError):
            document["hint"] = error.hint
        else:
            document["traceback"] = traceback.format_exception(error)
        write_json(self.failure_file(cell), document)
        return reason

    def check(self, cells: Sequence[Cell], *, overwrite: bool) -> None:
        """Refuse, before anything runs, a folder that this grid cannot have.

        Raises:
            OutputError: If it is no folder of a comparison, cannot be written, or has runs of these names
                with other settings.
        """
        with explained(self.path):
            if self.path.exists() and not self.path.is_dir():
                raise OutputError(
                    f"The output {self.path} is a file; expected a folder.", hint="Choose another --output."
                )
            if self.path.is_dir() and any(self.path.iterdir()) and not self.cells.is_dir():
                raise OutputError(
                    f"The output folder {self.path} is not empty and holds no comparison.",
                    hint="Choose another --output.",
                )
            check_writable(self.path)
        others = [cell for cell in cells if self.state(cell) == "differs"]
        if others and not overwrite:
            first, *more = others
            beside = f", and {len(more)} more" if more else ""
            raise OutputError(
                f"Runs are there with other settings than are asked for now: {first.name}{beside} "
                f"({self._difference(first)}).",
                hint="Add --overwrite to train these anew, or choose another --output.",
            )

    def _asked_before(self, cell: Cell) -> dict[str, Any] | None:
        """The settings that the cell was last started with; None if it was not, or they cannot be read."""
        try:
            return _plain(load_config(self.asked_file(cell)).config)
        except ConfigError:
            return None

    def _difference(self, cell: Cell) -> str:
        before, now = self._asked_before(cell), _plain(cell.config)
        if before is None:
            return "what was asked of it is not known"
        pairs = ((key, _value_at(before, key), _value_at(now, key)) for key in setting_fields())
        return ", ".join(
            f"{key} was {_shown(old)}, is {_shown(new)}" for key, old, new in pairs if old != new
        )


def reason_of(error: Exception) -> str:
    """Why a cell failed, in one line; a fault of the program with its kind."""
    is_ours = isinstance(error, LorettaError)
    return " ".join((str(error) if is_ours else f"{type(error).__name__}: {error}").split())


def _plain(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json")


def _shown(value: Any) -> str:
    return "unset" if value is None else value_text(value)


def _value_at(settings: dict[str, Any], key: str) -> Any:
    return reduce(lambda group, name: group[name], key.split("."), settings)
