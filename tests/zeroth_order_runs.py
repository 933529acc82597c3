"""Zeroth-order runs on tiny models, uninterrupted or cut off at the worst moment.

Imports no pytest and, at its top, nothing heavy.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.command_line import write_sentences

ROWS, BATCH = 26, 4
WEIGHTS = "adapter_model.safetensors"


def make_place(folder: Path) -> Path:
    """Models and data, in ``folder``."""
    from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder

    save_tiny_encoder(folder / "encoder")
    save_tiny_decoder(folder / "decoder")
    write_sentences(folder / "sentences", train=ROWS, validation=10)
    return folder


@dataclass(frozen=True, slots=True)
class ZoRun:
    """One kind of run.

    Args:
        settings: Beside the common ones.
        method: Of the adapter.
        model: ``encoder`` (classification head) or ``decoder`` (prompts).
        steps: Optimizer steps.
        every: Steps between checkpoints.
    """

    settings: tuple[str, ...] = ()
    method: str = "rep"
    model: str = "encoder"
    steps: int = 60
    every: int = 20

    def command(self, place: Path, output: Path) -> list[str]:
        """The train command."""
        settings = (
            f"training.max_steps={self.steps}",
            f"training.batch_size={BATCH}",
            f"training.evaluate_every={self.every}",
            "training.learning_rate=0.001",
            "data.protocol=paper",
            "zo.epsilon=0.001",
            # Which way is faster depends on what else the machine does.
            "zo.backend=sequential",
            *self.settings,
        )
        return [
            *("train", "--model", str(place / self.model), "--method", self.method, "--gradient", "zo"),
            *("--task", "sst2", "--data", str(place / "sentences"), "--output", str(output)),
            *(part for setting in settings for part in ("--set", setting)),
        ]


def main_killed(after: int, share: float, arguments: list[str]) -> None:
    """Run a command that kills its own process while it appends the record of a step.

    Args:
        after: Number of the record, from 1.
        share: Of the record's line that is written before.
        arguments: Of the command line.
    """
    import os
    import signal

    from loretta_cli.cli.app import main
    from loretta_cli.training.gradients.trajectory import Record, Trajectory

    append = Trajectory.append

    def killed(self: Trajectory, record: Record) -> None:
        before = self.path.stat().st_size
        append(self, record)
        if record.step + 1 == after:
            written = self.path.stat().st_size - before
            os.truncate(self.path, before + int(share * written))
            os.kill(os.getpid(), signal.SIGKILL)

    Trajectory.append = killed  # type: ignore[method-assign]
    sys.argv = ["loretta", *arguments]
    main()


if __name__ == "__main__":
    main_killed(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
