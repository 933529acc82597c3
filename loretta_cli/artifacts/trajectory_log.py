"""What there is to look at in a ``trajectory.jsonl``: queries, sizes of projected gradients, events.

Whoever computes with a trajectory reads it strictly (:mod:`training.gradients.trajectory`, which writes it);
this is for eyes. It takes what is whole, also of a run that goes on. Imports :mod:`report.estimates` only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.files import read_bytes
from loretta_cli.report.estimates import EVENTS, Estimates

_LARGEST = 2**53
"""Beyond it no number is one that a training wrote."""


def read_estimates(path: Path) -> Estimates:
    """The steps of a trajectory; none of a file that is missing or is none.

    Args:
        path: The file.
    """
    try:
        lines = read_bytes(path).splitlines()
    except OSError:
        return Estimates((), (), ())
    records = [record for line in lines if (record := _record(line)) is not None]
    last: dict[str, Any] = records[-1] if records else {}
    return Estimates(
        steps=[record["step"] + 1 for record in records],
        queries=[len(record["g"]) for record in records],
        sizes=[_mean_size(record["g"]) for record in records],
        events=[(record["step"] + 1, record["event"]) for record in records if record.get("event") in EVENTS],
        forward_passes=_number(last.get("forward_passes"), int) or 0,
        eps=_number(last.get("eps"), float),
    )


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("g"), list):
        return None
    step = record.get("step")
    return record if isinstance(step, int) and 0 <= step < _LARGEST else None


def _mean_size(slopes: list[object]) -> float | None:
    sizes = [abs(one) for one in slopes if isinstance(one, int | float) and abs(one) < _LARGEST]
    return sum(sizes) / len(sizes) if sizes else None


def _number(value: object, kind: type) -> Any:
    return value if isinstance(value, kind) else None
