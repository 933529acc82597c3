"""What a merge has to say; the document of ``merge --json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loretta_cli.artifacts.merging.loss import LostShare
from loretta_cli.artifacts.merging.verifying import Verification


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge has to say.

    Args:
        output: The folder written.
        verification: How the merged model compares with base and adapter.
        task: The task of the run; where the model has a classification head, it is this task's.
        head: Whether it has one.
        dtype: Number type of the weights.
        streamed: Whether it was merged shard by shard.
        dequantized: What the base was quantised to, or None.
        lost: What the cast to half precision loses of the updates.
    """

    output: str
    verification: Verification
    task: str
    head: bool
    dtype: str
    streamed: bool
    dequantized: str | None = None
    lost: LostShare = field(default_factory=LostShare)

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract, how it was checked, and what the cast loses."""
        found, kind = self.verification.comparison, self.verification.kind
        return {
            "output": self.output,
            "max_abs_logit_difference": self.verification.of_logits,
            "max_abs_layer_difference": self.verification.of_layers,
            "verification": kind,
            "tolerance": found.tolerance,
            "rows": found.rows if kind == "logits" else None,
            "layers": self.verification.layers,
            "verified": found.passed,
            "lost_share": self.lost.as_json(),
            "dtype": self.dtype,
            "streamed": self.streamed,
            "dequantized": self.dequantized,
            "task": self.task,
        }
