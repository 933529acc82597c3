r"""The grid behind the default learning rates: methods x rates x tasks on one model.

The score is that of the best epoch on train rows that are held out; the validation split, on which methods
are compared, has no say in a default.

Usage::

    python benchmarks/learning_rates.py --model bundled:minilm --data data \
        --method adp --method rep --method full=2e-5,5e-5 --rate 2e-3 --rate 5e-3 --task sst2 --task trec

Any method of ``loretta train`` can be given, with rates of its own or those of ``--rate``. Each finished cell
is printed as one JSON line; the table follows at the end. Set OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from pathlib import Path

UNUSED_ROWS = 50
"""Rows of the validation split: a run reports some, and nothing here reads them."""


def run_cell(
    args: argparse.Namespace, method: str, rate: float, task: str, folder: Path
) -> dict[str, object]:
    """Train one cell and return its figures."""
    from loretta_cli.config import load_config
    from loretta_cli.report import SilentReporter
    from loretta_cli.training.run import train

    flags: dict[str, object] = {
        "model.name": args.model,
        "adapter.method": method,
        "task.name": task,
        "data.source": str(Path(args.data) / task),
        "data.train_rows": args.rows,
        "data.selection_rows": args.selection_rows,
        "data.validation_rows": UNUSED_ROWS,
        "training.select_by": "metric",
        "training.learning_rate": rate,
        "training.epochs": args.epochs,
        "training.seed": args.seed,
    }
    report = train(load_config(None, flags, args.set).config, folder, SilentReporter())
    return {
        "task": task,
        "method": method,
        "rate": rate,
        "metric": report.selection["value"],
        "best_step": report.best_step,
        "steps": report.steps,
        "trainable": report.trainable_parameters,
        "seconds": report.seconds,
    }


def method_and_rates(text: str) -> tuple[str, list[float]]:
    """``adp=1e-3,2e-3`` as the method and its rates; ``adp`` has none of its own."""
    name, _, rates = text.partition("=")
    return name, [float(rate) for rate in rates.split(",") if rate]


def table(cells: list[dict[str, object]]) -> str:
    """Each method's metric at each of its rates, and their mean over the tasks."""
    tasks = list(dict.fromkeys(str(cell["task"]) for cell in cells))
    lines = ["| method | rate | " + " | ".join(tasks) + " | mean |", "|---" * (3 + len(tasks)) + "|"]
    for method, rate in dict.fromkeys((cell["method"], cell["rate"]) for cell in cells):
        row = [cell["metric"] for cell in cells if (cell["method"], cell["rate"]) == (method, rate)]
        scores = [float(str(score)) for score in row]
        mean = sum(scores) / len(scores)
        lines.append(f"| {method} | {rate:g} | " + " | ".join(f"{x:.3f}" for x in (*scores, mean)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the grid and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bundled:minilm")
    parser.add_argument("--data", required=True, help="folder with one folder a task")
    parser.add_argument(
        "--method", action="append", required=True, type=method_and_rates, metavar="NAME[=RATE,RATE]"
    )
    parser.add_argument(
        "--rate", action="append", type=float, default=[], help="for methods without their own"
    )
    parser.add_argument("--task", action="append", required=True)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--selection-rows", type=int, default=1000, help="held-out train rows to score")
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="further settings, key=value")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    cells: list[dict[str, object]] = []
    for method, rates in args.method:
        for rate in rates or args.rate:
            for task in args.task:
                with tempfile.TemporaryDirectory() as folder:
                    cells.append(run_cell(args, method, rate, task, Path(folder) / "run"))
                print(json.dumps(cells[-1]), flush=True)
    print("\n" + table(cells))


if __name__ == "__main__":
    main()
