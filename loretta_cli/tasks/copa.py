"""COPA (SuperGLUE): which of two sentences is the cause, or the effect, of a premise?

The prompt is MeZO's: the premise, "because" or "so", and a sentence that goes on in lower case. A
classification head reads the same.
"""

from __future__ import annotations

from loretta_cli.tasks.base import Example, Prompt, Task
from loretta_cli.tasks.cells import Cells

JOINTS = {"cause": "because", "effect": "so"}
CHOICES = ("choice1", "choice2")


def _read(cells: Cells) -> Example:
    asked = cells.text("question").strip()
    if asked not in JOINTS:
        raise cells.error("question", f"found {asked!r}, expected {' or '.join(JOINTS)}.")
    premise, joint = cells.text("premise").strip().removesuffix("."), JOINTS[asked]
    return Example(
        # Apart, so that the joint stays where the premise is cut, or left out for calibration.
        texts={"premise": premise, "joint": joint},
        label=cells.label("label", CHOICES),
        options=tuple(_going_on(cells.text(column)) for column in CHOICES),
    )


def _going_on(sentence: str) -> str:
    """A sentence as it stands behind a conjunction."""
    first, *others = sentence.strip().split(" ")
    return " ".join([first if first == "I" else first.lower(), *others])


TASK = Task(
    name="copa",
    version=1,
    kind="choice",
    columns=("premise", "question", *CHOICES, "label"),
    read=_read,
    metrics=("accuracy",),
    head=("premise",),
    head_ending="joint",
    prompt=Prompt(render=lambda row: f"{row['premise']} {row['joint']}", options=(), cut="premise"),
    hub_id="aps/super_glue:copa",
    unanswered=lambda values: {"label": 0},
)
