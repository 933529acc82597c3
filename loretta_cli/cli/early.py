"""What is refused before torch is imported, which takes seconds: places that are empty, or taken.

The verbs' own work checks the same places again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loretta_cli.artifacts.base_location import POINT_AT_IT, check_base_is_there
from loretta_cli.artifacts.files import check_new_folder
from loretta_cli.models.source import find_model
from loretta_cli.tasks.sources import check_source

if TYPE_CHECKING:
    from loretta_cli.artifacts.run_folder import RunFolder
    from loretta_cli.config import Config


def check_sources(config: Config) -> None:
    """Refuse a model or data that a training could not read.

    Raises:
        ModelError: If the model's folder or file is not there, or is of an unknown kind.
        DataError: The same of the data.
    """
    if config.model.name is not None:
        find_model(config.model.name)
    if config.data.source is not None:
        check_source(config.data.source)


def check_places(
    run: RunFolder, *, data: str | None = None, output: Path | None = None, hint: str = POINT_AT_IT
) -> None:
    """Refuse a run whose base model has gone, data that is not there, and an output that is there.

    Args:
        run: The run to work on.
        data: Rows that are given beside it.
        output: The folder to write.
        hint: How to say where the base model is now.

    Raises:
        RunError: If nothing is where the base model was.
        DataError: If the data is not there, or of an unknown kind.
        OutputError: If the folder cannot be made.
    """
    check_base_is_there(run, hint=hint)
    if data is not None:
        check_source(data)
    if output is not None:
        check_new_folder(output)
