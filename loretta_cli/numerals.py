"""Numbers with their nouns. Imports nothing."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str = "") -> str:
    """A number and what it counts: ``1 row``, ``12 rows``, ``1 of 3 runs is done``.

    Args:
        number: How many.
        singular: What follows a 1.
        plural: What follows other numbers; the singular with an s if empty.
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def memory_in_words(size: int) -> str:
    """A number of bytes in memory: ``812 MiB``, ``12.8 GiB``."""
    if size < 2**20 and size:
        return "< 1 MiB"
    if size < 2**30:
        return f"{size / 2**20:,.0f} MiB"
    return f"{size / 2**30:,.1f} GiB"
