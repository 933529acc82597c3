"""A curve in one line of text. Imports nothing of ours."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.:-=+*#"
_NO_NUMBER = "x"


def sparkline(
    values: Sequence[float | None],
    width: int,
    *,
    ascii_only: bool = False,
    bounds: tuple[float, float] | None = None,
) -> str:
    """Draw numbers as blocks of eight heights, one character each.

    Args:
        values: In their order. More than ``width`` are put into ``width`` buckets of equal share, each
            drawn at the mean of its finite values; fewer are not stretched.
        width: The most characters, at least 1.
        ascii_only: Characters for terminals without Unicode.
        bounds: The values at the lowest and the highest block, so that two curves have one scale; None
            takes the least and the greatest of the (mean) values. Values beyond are drawn at the bound.

    Returns:
        At most ``width`` characters; none for no values. ``x`` stands for a bucket without a finite
        value. A series of one value throughout is drawn at half height, unless ``bounds`` say otherwise.
    """
    means = bucket_means(values, width)
    finite = [mean for mean in means if mean is not None]
    low, high = bounds or (min(finite, default=0.0), max(finite, default=0.0))
    blocks = _ASCII_BLOCKS if ascii_only else _BLOCKS
    return "".join(_NO_NUMBER if mean is None else blocks[_height(mean, low, high)] for mean in means)


def bucket_means(values: Sequence[float | None], width: int) -> list[float | None]:
    """The values that a curve of at most ``width`` characters draws; None where there is no finite one.

    Args:
        values: In their order.
        width: The most buckets, at least 1.
    """
    count = min(width, len(values))
    edges = [index * len(values) // count for index in range(count + 1)] if count else []
    return [_mean(values[start:end]) for start, end in itertools.pairwise(edges)]


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return None
    # Divided first, and held within the values: the sum of large losses may overflow.
    mean = sum(value / len(finite) for value in finite)
    return min(max(mean, min(finite)), max(finite))


def _height(value: float, low: float, high: float) -> int:
    """Which of the eight blocks, from 0."""
    top = len(_BLOCKS) - 1
    span = high / 2 - low / 2
    if span <= 0:
        return top // 2
    share = (value / 2 - low / 2) / span
    return round(top * min(1.0, max(0.0, share)))
