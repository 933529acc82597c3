"""The files of a comparison: its tables, documents and pictures."""

from __future__ import annotations

from loretta_cli.artifacts.files import explained, write_json, write_text
from loretta_cli.grid.documents import as_json, csv_text
from loretta_cli.grid.folder import GridFolder
from loretta_cli.grid.pictures import draw_comparison
from loretta_cli.grid.scores import Comparison
from loretta_cli.grid.tables import markdown


def write_comparison(folder: GridFolder, comparison: Comparison) -> None:
    """Write the tables and the pictures; each file is replaced whole.

    Raises:
        OutputError: If one cannot be written.
    """
    with explained(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
        if comparison.finished:
            draw_comparison(folder, comparison)
    write_text(folder.table, markdown(comparison))
    write_text(folder.csv, csv_text(comparison))
    write_json(folder.document, {"schema_version": 1, **as_json(comparison)})
