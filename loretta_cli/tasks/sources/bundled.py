"""The data sets that are shipped with the package. Imports errors, registry and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loretta_cli.errors import DataError
from loretta_cli.registry import suggest
from loretta_cli.tasks.sources.files import load_folder

if TYPE_CHECKING:
    from loretta_cli.tasks.sources.rows import Splits

PREFIX = "bundled:"
FOLDER = Path(__file__).resolve().parents[1] / "bundled"


def bundled_names() -> list[str]:
    """List the names that may follow ``bundled:``, sorted."""
    return sorted(
        path.name.replace("_", "-")
        for path in FOLDER.iterdir()
        if path.is_dir() and not path.name.startswith(("_", "."))
    )


def find_bundled(source: str) -> Path:
    """The folder of a bundled data set.

    Args:
        source: ``"bundled:NAME"``; hyphens and underscores in NAME are alike.

    Raises:
        DataError: If there is no bundled data set of that name.
    """
    name = source.removeprefix(PREFIX).replace("_", "-")
    if name not in bundled_names():
        raise DataError(
            f"There is no bundled data set {name!r}.",
            hint=suggest(name, bundled_names(), plural="bundled data sets"),
        )
    return FOLDER / name.replace("-", "_")


def load_bundled(source: str) -> Splits:
    """Read a bundled data set.

    Args:
        source: As for :func:`find_bundled`.

    Returns:
        The splits.

    Raises:
        DataError: If there is no bundled data set of that name.

    """
    return load_folder(find_bundled(source), source)
