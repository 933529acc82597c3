"""Data folders with a sub-folder for each of several tiny tasks. Imports no pytest."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command_line import sentence

COLUMNS = {"sst2": "sentence", "mr": "text", "sst5": "text"}


def write_tasks(folder: Path, *names: str, train: int = 20, validation: int = 8) -> Path:
    """Write ``folder/TASK/{train,validation}.jsonl`` for tasks of :data:`COLUMNS`.

    mr has the labels of sst2 the other way round; sst5 has five.
    """
    for name in names:
        (folder / name).mkdir(parents=True)
        for split, numbers in (("train", range(train)), ("validation", range(train, train + validation))):
            lines = []
            for number in numbers:
                text, label = sentence(number)
                label = {"sst2": label, "mr": 1 - label, "sst5": number % 5}[name]
                lines.append(json.dumps({COLUMNS[name]: text, "label": label}))
            (folder / name / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
