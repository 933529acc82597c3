"""What a compression has to say; the document of ``compress --json``. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Scores:
    """The metrics of a model on the task's rows.

    Args:
        main_metric: Name of the one that counts.
        metrics: All, with the loss.
        rows: How many rows.
        shortened: Of these, how many were too long and were truncated.
        ties: In how many the two best options have one score.
        peak_memory_bytes: Of the process so far.
    """

    main_metric: str
    metrics: Mapping[str, float]
    rows: int
    shortened: int
    ties: int
    peak_memory_bytes: int

    @property
    def main(self) -> float:
        """The metric that counts."""
        return self.metrics[self.main_metric]

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class RankReport:
    """A rep adapter made of a LoRA.

    Args:
        rank: The TT rank.
        tt_rank: As the adapter's config has it: that number, or one for each bond.
        bottleneck: Between the trains A and B.
        output: Its folder.
        errors: Of each layer, what is lost of its update, relative to it, in Frobenius norms.
        after: Its scores; None without a task.
        update_parameters: Numbers of the trains.
        trainable_parameters: These, and the numbers of modules saved whole and trained.
        total_parameters: Numbers of the base model.
        bytes: Of the file with its tensors.
    """

    rank: int
    tt_rank: int | list[int]
    bottleneck: int
    output: str
    errors: Mapping[str, float]
    after: Scores | None
    update_parameters: int
    trainable_parameters: int
    total_parameters: int
    bytes: int

    @property
    def mean_error(self) -> float:
        """Over the layers."""
        return sum(self.errors.values()) / len(self.errors)

    @property
    def worst_error(self) -> float:
        """Of any layer."""
        return max(self.errors.values())

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract."""
        return {
            "tt_rank": self.rank,
            "tt_ranks": self.tt_rank,
            "bottleneck": self.bottleneck,
            "output": self.output,
            "mean_error": self.mean_error,
            "worst_error": self.worst_error,
            "errors": dict(self.errors),
            "metrics": dict(self.after.metrics) if self.after is not None else None,
            "update_parameters": self.update_parameters,
            "trainable_parameters": self.trainable_parameters,
            "bytes": self.bytes,
        }


@dataclass(frozen=True, slots=True)
class CompressReport:
    """A LoRA and the adapters made of it.

    Args:
        output: The folder written.
        source: Name of the LoRA.
        task: The task; None without one.
        before: The scores of the LoRA.
        layers: How many layers it stands at.
        lora_rank: Its highest rank.
        update_parameters: Numbers of its matrices.
        trainable_parameters: These, and the numbers of modules saved whole.
        bytes: Of its file.
        ranks: The adapters.
    """

    output: str
    source: str
    task: str | None
    before: Scores | None
    layers: int
    lora_rank: int
    update_parameters: int
    trainable_parameters: int
    bytes: int
    ranks: tuple[RankReport, ...]

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract."""
        scores = self.before
        return {
            "output": self.output,
            "source": self.source,
            "task": self.task,
            "main_metric": scores.main_metric if scores is not None else None,
            "rows": scores.rows if scores is not None else None,
            "layers": self.layers,
            "lora": {
                "rank": self.lora_rank,
                "metrics": dict(scores.metrics) if scores is not None else None,
                "update_parameters": self.update_parameters,
                "trainable_parameters": self.trainable_parameters,
                "bytes": self.bytes,
            },
            "ranks": [report.as_json() for report in self.ranks],
        }

    def columns(self) -> tuple[str, ...]:
        """The heads of :meth:`cells`."""
        metric = (self.before.main_metric,) if self.before is not None else ()
        return ("", "mean error", "worst error", *metric, "numbers of the update", "trainable", "bytes")

    def cells(self) -> list[tuple[str, ...]]:
        """The table of all ranks, the LoRA first."""
        rows = [_cells(f"LoRA, rank {self.lora_rank}", None, self.before, self)]
        rows += [_cells(f"TT rank {report.rank}", report, report.after, report) for report in self.ranks]
        return rows

    def layer_cells(self) -> list[tuple[str, ...]]:
        """A row for each layer with its error at each rank."""
        return [
            (name, *(f"{report.errors[name]:.3g}" for report in self.ranks)) for name in self.ranks[0].errors
        ]


def _cells(
    name: str, errors: RankReport | None, scores: Scores | None, sizes: RankReport | CompressReport
) -> tuple[str, ...]:
    return (
        name,
        f"{errors.mean_error:.3g}" if errors is not None else "-",
        f"{errors.worst_error:.3g}" if errors is not None else "-",
        *((f"{scores.main:.4f}",) if scores is not None else ()),
        f"{sizes.update_parameters:,}",
        f"{sizes.trainable_parameters:,}",
        f"{sizes.bytes:,}",
    )
