"""SQuAD 2.0: as SQuAD 1.1, with questions that the passage does not answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from loretta_cli.tasks import squad
from loretta_cli.tasks.base import Generation

NO_ANSWER = "unanswerable"
"""What is learned, and counts as no answer, where the passage has none."""

TASK = dataclasses.replace(
    squad.TASK,
    name="squad_v2",
    read=squad.example,
    scorer="squad_v2",
    generation=Generation(
        render=squad.render, cut="context", answer=lambda spans: f" {spans[0] if spans else NO_ANSWER}"
    ),
    hub_id="rajpurkar/squad_v2",
    unanswered=lambda values: squad.put_in(values, has_answer=isinstance(values.get("answers"), Mapping)),
)
