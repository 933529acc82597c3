"""What was measured of a case, as values, as JSON and as rows of a table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmarks.step_time.contenders import FORWARDS
from benchmarks.step_time.measuring import Quartiles, Times, paired_ratios

Clock = Literal["wall", "cpu"]
REFERENCES = ("lora", "lora, adp's layers", "dense", FORWARDS)
"""The contenders that others are compared with."""
HEADINGS = (
    *("trains", "seconds", "x LoRA q,v", "x LoRA there", "x 2 forwards"),
    *("peak MiB", "x LoRA q,v", "x LoRA there"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One contender of a case.

    Args:
        name: The contender.
        trainable: Trainable parameters.
        seconds: Median of its steps.
        peak_bytes: Most bytes of tensors alive in a step; None for the plain forwards.
        time_ratios: Reference to quartiles of the paired ratios of time.
        memory_ratios: Reference to the ratio of peak memory.
    """

    name: str
    trainable: int
    seconds: float
    peak_bytes: int
    time_ratios: dict[str, Quartiles]
    memory_ratios: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return asdict(self)

    def cells(self) -> list[str]:
        """The row as text, under :data:`HEADINGS`."""
        there = "lora" if self.name in ("lora", "rep") else "lora, adp's layers"
        return [
            self.name,
            f"{self.trainable:,}",
            f"{self.seconds:.3f}",
            ratio_text(self.time_ratios["lora"]),
            ratio_text(self.time_ratios[there]),
            ratio_text(self.time_ratios[FORWARDS]),
            f"{self.peak_bytes / 2**20:.0f}",
            f"{self.memory_ratios['lora']:.3f}",
            f"{self.memory_ratios[there]:.3f}",
        ]


def make_rows(
    times: Mapping[str, Times], peaks: Mapping[str, int], trainable: Mapping[str, int], clock: Clock
) -> list[Row]:
    """Rows of a case, in the order of ``times``.

    Args:
        times: Contender to its times; all of one length.
        peaks: Contender to its peak memory in bytes.
        trainable: Contender to its trainable parameters.
        clock: Which of the two times counts.
    """
    seconds: dict[str, Sequence[float]] = {name: getattr(value, clock) for name, value in times.items()}
    return [
        Row(
            name=name,
            trainable=trainable[name],
            seconds=statistics.median(taken),
            peak_bytes=peaks[name],
            time_ratios={other: paired_ratios(taken, seconds[other]) for other in REFERENCES},
            memory_ratios={other: peaks[name] / peaks[other] for other in REFERENCES},
        )
        for name, taken in seconds.items()
    ]


def markdown(title: str, rows: Sequence[Row]) -> str:
    """The table of a case, with its title as the first heading."""
    return table([[title, *HEADINGS], *(row.cells() for row in rows)])


def table(lines: Sequence[Sequence[str]]) -> str:
    """A table that reads well in a terminal and in README; the first line is its head."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    drawn = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    drawn.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(drawn)


def ratio_text(ratio: Quartiles) -> str:
    """The median, with the quartiles in brackets."""
    return f"{ratio.median:.3f} [{ratio.first:.3f}, {ratio.third:.3f}]"
