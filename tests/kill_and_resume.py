"""Training that is killed at random moments and resumed each time ends as if nothing had happened.

::

    python -m tests.kill_and_resume                       # 40 kills of each gradient
    python -m tests.kill_and_resume --kills 4 --gradient zo --seed 7

A run is killed (SIGKILL), resumed, killed again, until it ends; then the next begins. Half of the kills come
at any moment from the start of the command on, half while a checkpoint is being written. After each one,
whatever has the name of a checkpoint must be whole; the next process must go on from the last of them; and
each run that ended must equal one that nobody killed, byte for byte. Exits with 1 where one of that fails.

Processes are forked from one that has imported everything, so that a kill meets the training, not the
imports.
Imports no pytest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.command_line import loretta, metric_records
from tests.zeroth_order_runs import ROWS, WEIGHTS, make_place

STEPS, EVERY = 80, 5
GRADIENTS = {
    # Dropout: the state of the generators matters.
    "backprop": ("adapter.dropout=0.3", "training.learning_rate=0.01"),
    "zo": (
        *("training.gradient=zo", "zo.queries=2", "zo.epsilon=0.001", "training.learning_rate=0.001"),
        # Which way is faster depends on what else the machine does.
        "zo.backend=sequential",
    ),
}
LONGEST = 300.0
"""Seconds after which a process that should be at work is given up."""


def command(place: Path, output: Path, gradient: str) -> list[str]:
    """The train command; few checkpoints are kept, so that removing them is cut off, too."""
    settings = (
        f"training.max_steps={STEPS}",
        "training.batch_size=4",
        f"training.evaluate_every={EVERY}",
        "training.keep_checkpoints=3",
        "training.log_every=2",
        "data.protocol=paper",
        *GRADIENTS[gradient],
    )
    return [
        *("train", "--model", str(place / "encoder"), "--method", "adp", "--output", str(output)),
        *("--task", "sst2", "--data", str(place / "sentences")),
        *(part for setting in settings for part in ("--set", setting)),
    ]


def differences(run: Path, whole: Path) -> list[str]:
    """What a run that was resumed has other than one that was not, in words."""
    names = [f"adapter/{WEIGHTS}", f"best/{WEIGHTS}"]
    names += [f"checkpoints/{path.name}/{WEIGHTS}" for path in (whole / "checkpoints").iterdir()]
    names += [name for name in ("trajectory.jsonl", f"start/{WEIGHTS}") if (whole / name).exists()]
    found = [
        name
        for name in names
        if not (run / name).exists() or (run / name).read_bytes() != (whole / name).read_bytes()
    ]
    if metric_records(run) != metric_records(whole):
        found.append("metrics.jsonl")
    if _report(run) != _report(whole):
        found.append("report.json")
    return found


def torn(run: Path) -> list[str]:
    """Checkpoints that have their name without being whole."""
    from loretta_cli.artifacts.checkpoints import is_complete

    # One whose removal was cut off has lost its marker, and nothing takes it for a checkpoint.
    named = [path for path in run.glob("checkpoints/checkpoint-*") if (path / "complete.json").exists()]
    return [path.name for path in named if not is_complete(path)]


def _report(run: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((run / "report.json").read_text(encoding="utf-8"))
    changing = ("run", "seconds", "peak_memory_bytes", "tokens_per_second")
    return {key: value for key, value in report.items() if key not in changing}


def _child(arguments: Sequence[str], told: str) -> None:
    outcome = loretta(*arguments)
    Path(told).write_text(outcome.stderr, encoding="utf-8")
    os._exit(outcome.exit_code)


@contextlib.contextmanager
def _process(arguments: Sequence[str], told: Path) -> Iterator[Any]:
    process = multiprocessing.get_context("fork").Process(target=_child, args=(arguments, str(told)))
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()


class Trial:
    """Runs of one gradient, killed and resumed.

    Args:
        place: Has models and data, and gets the runs.
        gradient: Of :data:`GRADIENTS`.
        chance: Chooses the moments.
    """

    def __init__(self, place: Path, gradient: str, chance: random.Random) -> None:
        self.place, self.gradient, self.chance = place, gradient, chance
        self.whole, self.counts, self.faults = place / f"{gradient}-whole", Counter[str](), list[str]()
        self.resumed_after: list[int] = []
        started = time.monotonic()
        self._to_the_end(command(place, self.whole, gradient))
        self.seconds = time.monotonic() - started

    def kill(self, kills: int) -> None:
        """Kill until it is enough; then let the last run end."""
        number = 0
        while self.counts["kills"] < kills:
            run = self.place / f"{self.gradient}-{number}"
            self._one_run(run, kills)
            self.faults += [f"{run.name}: other {name}" for name in differences(run, self.whole)]
            self.counts["runs"] += 1
            number += 1

    def _one_run(self, run: Path, kills: int) -> None:
        while self.counts["kills"] < kills:
            if self._ended(self._words(run), run):
                return
            self.counts["kills"] += 1
            self.faults += [f"{run.name}: {name} is torn" for name in torn(run)]
        self._to_the_end(self._words(run))

    def _words(self, run: Path) -> list[str]:
        from loretta_cli.artifacts.checkpoints import last_complete, step_of

        if not (run / "config.yaml").exists():
            return command(self.place, run, self.gradient)
        last = last_complete(run / "checkpoints")
        self.resumed_after.append(step_of(last) if last else 0)
        return ["train", "--output", str(run), "--resume"]

    def _ended(self, words: Sequence[str], run: Path) -> bool:
        """Run until the end, or until a random moment; which of the two it was."""
        at, told = self.chance.uniform(0.0, self.seconds), self.place / "told.txt"
        unfinished, waits = run / "checkpoints" / ".unfinished", self.chance.random() < 0.5
        with _process(words, told) as process:
            started = time.monotonic()
            while process.is_alive():
                passed = time.monotonic() - started
                if passed > (min(at, self.seconds / 4) if waits else at):
                    if not waits:
                        break
                    if unfinished.exists():
                        time.sleep(self.chance.uniform(0.0, 0.03))
                        break
                if passed > LONGEST:
                    self.faults.append(f"{run.name}: no end after {LONGEST:.0f} s")
                    break
                time.sleep(0.0005)
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
            process.join()
            if process.exitcode == -signal.SIGKILL:
                self.counts["while a checkpoint was written"] += unfinished.exists()
                return False
            self._check(process.exitcode, told)
            return True

    def _to_the_end(self, words: Sequence[str]) -> None:
        told = self.place / "told.txt"
        with _process(words, told) as process:
            process.join(LONGEST)
            self._check(process.exitcode, told)

    def _check(self, code: int | None, told: Path) -> None:
        if code != 0:
            raise SystemExit(f"{self.gradient}: exit code {code}\n{told.read_text(encoding='utf-8')}")
        last = self.resumed_after[-1] if self.resumed_after else 0
        if last and f"resuming after step {last}" not in told.read_text(encoding="utf-8"):
            self.faults.append(f"did not go on after step {last}")
        self.resumed_after.clear()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials and print the counts; 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40, help="of each gradient")
    parser.add_argument("--gradient", choices=[*GRADIENTS, "both"], default="both")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    os.environ["HF_HUB_OFFLINE"] = "1"

    import torch

    import loretta_cli.training.run  # noqa: F401
    from tests.rendering import curves_rendered_once

    torch.set_num_threads(1)
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder, curves_rendered_once():
        place = make_place(Path(folder))
        print(f"{STEPS} steps on {ROWS} rows, a checkpoint every {EVERY} steps", flush=True)
        for gradient in GRADIENTS if options.gradient == "both" else [options.gradient]:
            trial = Trial(place, gradient, random.Random(options.seed))
            trial.kill(options.kills)
            print(
                f"{gradient}: {trial.counts['kills']} kills, "
                f"{trial.counts['while a checkpoint was written']} while a checkpoint was written; "
                f"{trial.counts['runs']} runs to the end, {len(trial.faults)} faults",
                flush=True,
            )
            faults += trial.faults
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
