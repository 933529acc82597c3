"""SST-2 (GLUE): is a sentence of a film review positive? Prompt and label words as in MeZO."""

from __future__ import annotations

from loretta_cli.tasks.base import Prompt, Task

TASK = Task(
    name="sst2",
    version=1,
    text="sentence",
    label="label",
    labels=("negative", "positive"),
    prompt=Prompt(
        render=lambda row: f"{row['sentence'].strip()} It was",
        options=(" terrible", " great"),
        cut="sentence",
    ),
    metrics=("accuracy",),
    hub_id="nyu-mll/glue:sst2",
)
