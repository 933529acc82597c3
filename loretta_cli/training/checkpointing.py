"""Writing a checkpoint so that it is whole or not there, and what is said when the disk refuses."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from loretta_cli.artifacts.checkpoints import UNFINISHED, last_complete, put_in_place, step_of, writing
from loretta_cli.artifacts.files import explained
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import OutputError, TrainingError
from loretta_cli.processes import processes


@contextlib.contextmanager
def whole_checkpoint(folder: Path, name: str) -> Iterator[Path]:
    """A folder to write a checkpoint below; if the block ends well, it gets its place.

    Of several processes the first makes the folder and the rest; all write into it.

    Args:
        folder: Of all checkpoints.
        name: Of this one.
    """
    if not processes().is_first:
        yield folder / UNFINISHED
        return
    with explained(folder / name), writing(folder) as unfinished:
        yield unfinished
        put_in_place(unfinished / name, folder)


@contextlib.contextmanager
def disk_explained(run: RunFolder) -> Iterator[None]:
    """Say what is left of a run that a disk has stopped, and how it goes on.

    Raises:
        TrainingError: If something could not be written.
    """
    try:
        with explained(run.path):
            yield
    except OutputError as error:
        last = last_complete(run.checkpoints)
        again = f"loretta train --output {shlex.quote(str(run.path))} --resume"
        left = f"the checkpoint of step {step_of(last)} is whole" if last else "there is no checkpoint yet"
        free = shutil.disk_usage(run.path).free
        raise TrainingError(
            f"{error.message.rstrip('.')} ({free:,} bytes are free).",
            hint=f"Make room; {left}. Go on: {again}",
        ) from error
