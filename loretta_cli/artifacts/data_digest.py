"""What a run was trained on, as numbers: rows of each split, and a checksum of their contents.

The checksum is of the checked rows, in their order, not of files: the same rows as CSV or as Parquet, or from
the hub, have the same one. Imports tasks; no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loretta_cli.tasks import TASKS, Example

if TYPE_CHECKING:
    from loretta_cli.config import Config
    from loretta_cli.tasks.preparation import TaskData

SPLITS = ("train", "selection", "validation")


def describe_data(config: Config, data: TaskData) -> dict[str, Any]:
    """The section ``data`` of a report: ``source``, ``protocol``, and of each split rows and checksum.

    Args:
        config: Of the run.
        data: Its rows.
    """
    splits = {split: getattr(data, split) for split in SPLITS}
    return {
        "source": config.data.source or TASKS.get(data.task.name).hub_id,
        "protocol": config.data.protocol,
        **{f"{split}_rows": len(rows) for split, rows in splits.items()},
        "sha256": {split: rows_sha256(rows) for split, rows in splits.items()},
    }


def rows_sha256(rows: Sequence[Example]) -> str:
    """The SHA-256 of what rows hold: texts by column, label, options, answers.

    Args:
        rows: In their order, which counts.
    """
    digest = hashlib.sha256()
    for row in rows:
        values = [dict(row.texts), row.label, row.options, row.names, row.answers, row.group]
        digest.update(json.dumps(values, sort_keys=True, default=str).encode() + b"\n")
    return digest.hexdigest()
