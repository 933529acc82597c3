"""Merging shard by shard: a base model's safetensors files in, those of the merged model out.

No weight is in memory for longer than it takes to write it, so a model larger than memory merges. What this
cannot do raises :class:`NotStreamable`, and :mod:`loretta_cli.artifacts.merge` merges in memory.
"""

from __future__ import annotations


class NotStreamable(Exception):
    """A run cannot be merged shard by shard, although it may be in memory.

    Args:
        reason: Why; fits behind "because".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


__all__ = ["NotStreamable"]
