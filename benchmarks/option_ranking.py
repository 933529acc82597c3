r"""Ranking options behind a prompt that is read once, beside one whole forward pass for each option.

Usage::

    python -m benchmarks.option_ranking --model FOLDER --task boolq --data data/boolq --rows 200
    python -m benchmarks.option_ranking --model FOLDER --task copa --data data/copa --json

Both ways rank the same batches of rows, taking turns. The ratio is the median, over the batches, of the time
of the whole forward passes over that of the prompt read once; the difference is the largest of any score.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from loretta_cli.tasks.forms.prompt import PromptForm


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured.

    Args:
        rows: How many rows were ranked.
        options: How many options they have in all.
        ratio: Median time of one forward pass an option over that of a prompt read once.
        seconds: Of all batches, with prompts read once.
        max_abs_difference: Of any score.
    """

    rows: int
    options: int
    ratio: float
    seconds: float
    max_abs_difference: float


def one_pass_an_option(form: PromptForm, model: Any, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
    """Scores ``(rows, options)``: every option is read with its prompt, in a forward pass for each."""
    most = max(len(row["options"]) for row in rows)
    columns = []
    for number in range(most):
        # A row with fewer options reads its last one again, so that all have a text in each pass.
        alone = [{**row, "options": [row["options"][min(number, len(row["options"]) - 1)]]} for row in rows]
        columns.append(form.scores(model, form.batch(alone))[:, 0])
    counts = torch.tensor([len(row["options"]) for row in rows])
    return torch.stack(columns, dim=1).masked_fill(torch.arange(most) >= counts[:, None], -torch.inf)


def measure(
    form: PromptForm, model: Any, rows: Sequence[dict[str, Any]], batch_size: int, rounds: int
) -> Result:
    """Rank all rows both ways, batch by batch, in turns."""
    rows = sorted(rows, key=lambda row: len(row["input_ids"]))
    ratios, seconds, difference = [], 0.0, 0.0
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            for _ in range(rounds):
                slow, expected = _timed(lambda batch=batch: one_pass_an_option(form, model, batch))
                fast, found = _timed(lambda batch=batch: form.evaluation_scores(model, batch))
                ratios.append(slow / fast)
                seconds += fast / rounds
                finite = expected.isfinite()
                difference = max(difference, float((expected - found)[finite].abs().max()))
    options = sum(len(row["options"]) for row in rows)
    return Result(len(rows), options, statistics.median(ratios), seconds, difference)


def _timed(action: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    started = time.process_time()
    value = action()
    return time.process_time() - started, value


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print one line or one JSON document."""
    args = parser().parse_args(arguments)
    torch.set_num_threads(args.threads)
    from loretta_cli.config import load_config
    from loretta_cli.planning.plan import load_base, make_plan, split_rows

    flags = {"model.name": args.model, "task.name": args.task, "data.source": args.data}
    config = load_config(None, flags, ["model.dtype=float32", *args.set]).config
    plan = make_plan(config, split_rows(config, split="validation", rows=args.rows))
    assert isinstance(plan.form, PromptForm), f"{args.task} has no options behind a prompt on {args.model}"
    rows = plan.form.encode(plan.data.validation).rows
    result = measure(plan.form, load_base(plan).model, rows, args.batch_size, args.rounds)
    if args.json:
        print(json.dumps(asdict(result)))
    else:
        print(
            f"{result.rows} rows, {result.options} options: {result.ratio:.2f} times as fast, "
            f"largest difference of a score {result.max_abs_difference:.1e}, {result.seconds:.1f} s"
        )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", required=True, help="a causal language model")
    made.add_argument("--task", default="boolq")
    made.add_argument("--data", help="folder of the task's rows; default: its data on the hub")
    made.add_argument("--rows", type=int, default=200)
    made.add_argument("--batch-size", type=int, default=8)
    made.add_argument("--rounds", type=int, default=1, help="turns for each batch")
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    made.add_argument("--json", action="store_true")
    return made


if __name__ == "__main__":
    main()
