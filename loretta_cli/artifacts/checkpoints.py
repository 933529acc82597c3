"""Which checkpoints are complete: a marker with the checksum of every file is written last.

A checkpoint that a crash tore in two has no marker, or one that does not fit, and is never resumed.
"""

from __future__ import annotations

import json
from pathlib import Path

from loretta_cli.artifacts.files import sha256, write_json

MARKER = "complete.json"


def mark_complete(checkpoint: Path) -> None:
    """Write the marker of a checkpoint whose files are all there."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != MARKER)
    write_json(
        checkpoint / MARKER, {"sha256": {str(path.relative_to(checkpoint)): sha256(path) for path in files}}
    )


def is_complete(checkpoint: Path) -> bool:
    """Whether the marker is there and every file it names has its checksum."""
    try:
        sums = json.loads((checkpoint / MARKER).read_text(encoding="utf-8"))["sha256"]
        return all(sha256(checkpoint / name) == expected for name, expected in sums.items())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False


def last_complete(folder: Path) -> Path | None:
    """The complete checkpoint with the highest step below a folder, or None."""
    found = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    for checkpoint in sorted(found, key=step_of, reverse=True):
        if is_complete(checkpoint):
            return checkpoint
    return None


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name."""
    return int(checkpoint.name.removeprefix("checkpoint-"))
