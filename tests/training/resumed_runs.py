"""Runs with dropout that are to be cut off and resumed, and what must then be equal. Imports no pytest."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.command_line import loretta, metric_records, write_labelled, write_sentences

# 26 rows in batches of 4 make an epoch of 7 batches: step 6 lies inside the first, step 9 in the second.
STEPS, EVERY, BATCH, ROWS = 12, 3, 4, 26


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of run.

    Args:
        method: ``adp`` or ``rep``.
        model: ``encoder`` or ``decoder``.
        extra: Settings beside the common ones.
    """

    method: str = "rep"
    model: str = "encoder"
    extra: tuple[str, ...] = ()
    custom: bool = False
    steps: int = field(default=STEPS)

    def command(self, place: Path, output: Path, *more: str) -> list[str]:
        """The train command."""
        settings = [
            # Zeroth-order training has none.
            *(() if "training.gradient=zo" in self.extra else ("adapter.dropout=0.3",)),
            f"training.max_steps={self.steps}",
            f"training.batch_size={BATCH}",
            f"training.evaluate_every={EVERY}",
            "training.log_every=2",
            "training.learning_rate=0.01",
            *self.extra,
            *more,
        ]
        data = ["--task", "sst2", "--data", str(place / "sentences"), "--set", "data.protocol=paper"]
        if self.custom:
            data = ["--task", "classification", "--data", str(place / "labelled.csv")]
            data += ["--set", "data.protocol=paper"]
            settings += ["data.columns.text=message", "data.columns.label=mood"]
        return [
            *("train", "--model", str(place / self.model), "--method", self.method, *data),
            *("--output", str(output)),
            *(part for setting in settings for part in ("--set", setting)),
        ]


def make_place(folder: Path) -> Path:
    """Two models, and data of both kinds, in ``folder``."""
    from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder

    save_tiny_encoder(folder / "encoder")
    save_tiny_decoder(folder / "decoder")
    write_sentences(folder / "sentences", train=ROWS, validation=10)
    write_labelled(folder / "labelled.csv", rows=ROWS + 3)
    return folder


def trained(case: Case, place: Path, output: Path) -> Path:
    """The run of a case, from start to end."""
    outcome = loretta(*case.command(place, output))
    assert outcome.exit_code == 0, outcome.stderr
    return output


def resume(run: Path, *, from_step: int | None) -> None:
    """Go on with a run; it must say from where."""
    outcome = loretta("train", "--output", run, "--resume")
    assert outcome.exit_code == 0, outcome.stderr
    wanted = "starting anew" if from_step is None else f"resuming after step {from_step}"
    assert wanted in outcome.stderr


def assert_same_run(one: Path, other: Path) -> None:
    """Weights byte for byte, metrics number for number, and the report but for time, memory and place."""
    for name in ("adapter/adapter_model.safetensors", "best/adapter_model.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    last = last_checkpoint(one)
    assert last.name == last_checkpoint(other).name
    name = "adapter_model.safetensors"
    assert (last / name).read_bytes() == (last_checkpoint(other) / name).read_bytes(), (
        "the last step's weights"
    )
    assert metric_records(one) == metric_records(other)
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    assert report_of(one) == report_of(other)


def last_checkpoint(run: Path) -> Path:
    return max((run / "checkpoints").iterdir(), key=lambda path: int(path.name.removeprefix("checkpoint-")))


def report_of(run: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((run / "report.json").read_text(encoding="utf-8"))
    changing = ("run", "seconds", "peak_memory_bytes", "tokens_per_second")
    return {key: report[key] for key in report if key not in changing}


def validation_records(run: Path) -> list[dict[str, Any]]:
    """Of the metrics, those of evaluations."""
    return [record for record in metric_records(run) if record["split"] == "validation"]
