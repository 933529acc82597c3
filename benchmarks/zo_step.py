r"""A zeroth-order step beside the forward passes that it is made of.

Usage::

    python -m benchmarks.zo_step --threads 1 --pairs 10
    python -m benchmarks.zo_step --case smollm2-4x16 --model FOLDER --queries 4 --json

A step is everything from the batch to the updated parameters: directions, perturbed parameters, losses,
record, gradient and SGD step. It takes turns with as many plain forward passes (two a query) of the same
model and batch, whose time is the unit of the ratios: medians over pairs, with their quartiles. "one pass"
is a plain forward pass over as many copies of the batch that all have the same parameters: a batched step
cannot be faster. Memory is what this process holds at the worst moment beyond that of the plain passes (on
Linux).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import peft
import torch

from benchmarks.step_time.cases import Setting, Workload, minilm, smollm2
from benchmarks.step_time.contenders import wrapped
from benchmarks.step_time.measuring import Quartiles, paired_ratios, take_turns
from benchmarks.step_time.results import ratio_text, table
from loretta_cli.config import ZerothOrderSettings
from loretta_cli.processes import Processes
from loretta_cli.tasks import TASKS
from loretta_cli.tasks.forms.head import HeadForm
from loretta_cli.tasks.forms.prompt import PromptForm
from loretta_cli.training.gradients.base import BatchLoss, Moment
from loretta_cli.training.gradients.batched import Batched, tokens_of
from loretta_cli.training.gradients.losses_at import LossesAt, Sequential
from loretta_cli.training.gradients.trajectory import Trajectory
from loretta_cli.training.gradients.vector import ParameterVector, trained_parameters
from loretta_cli.training.gradients.zeroth_order import Beginning, ZerothOrder
from loretta_cli.tt import TensorTrain, count_parameters, spread_rank
from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig

MANY = 1_300_000
"""The most that the large adapter trains."""
RATE, EPS = 1e-6, 1e-3
PLAIN, ONE_PASS = "plain", "one pass"


@dataclass(frozen=True, slots=True)
class Case:
    """A model with a batch.

    Args:
        title: As the table prints it.
        build: Makes the base model.
        rows: Batch size.
        tokens: In each row.
    """

    title: str
    build: Callable[[Setting, int, int], Workload]
    rows: int
    tokens: int


CASES = {
    "minilm-16x32": Case("MiniLM-L6, 16 x 32", minilm, 16, 32),
    "smollm2-1x16": Case("SmolLM2-135M, 1 x 16", smollm2, 1, 16),
    "smollm2-1x32": Case("SmolLM2-135M, 1 x 32", smollm2, 1, 32),
    "smollm2-4x16": Case("SmolLM2-135M, 4 x 16", smollm2, 4, 16),
    "smollm2-8x32": Case("SmolLM2-135M, 8 x 32", smollm2, 8, 32),
}
ADAPTERS = ("adp", "rep", "adp, large")


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one way to take a step.

    Args:
        way: ``sequential``, ``batched``, or :data:`ONE_PASS`.
        adapter: Which one trains.
        trainable: How many numbers it has.
        seconds: Median of the plain forward passes.
        ratio: Of the time of a step over theirs.
        memory: MB at the worst moment beyond a plain forward pass; None where that is not known.
    """

    way: str
    adapter: str
    trainable: int
    seconds: float
    ratio: Quartiles
    memory: float | None


def measure(workload: Workload, adapter: str, *, queries: int, pairs: int) -> list[Row]:
    """Measure one adapter on one model; CPU time.

    Args:
        workload: Model and batch.
        adapter: One of :data:`ADAPTERS`.
        queries: Of each step.
        pairs: Timed rounds.
    """
    model = adapted(workload, adapter)
    loss, vector, passes = batch_loss(workload, model), trained_parameters(model), 2 * queries
    several = Batched(vector, model, passes * tokens_of(loss))
    with tempfile.TemporaryDirectory() as folder:
        ways: dict[str, Callable[[], None]] = {
            PLAIN: lambda: forward(loss, passes),
            "sequential": stepper(vector, loss, Sequential(vector), queries, Path(folder, "sequential")),
            "batched": stepper(vector, loss, several, queries, Path(folder, "batched")),
            ONE_PASS: lambda: forward(copies_of(loss, passes), 1),
        }
        times = take_turns(ways, pairs, torch.device("cpu"))
        peaks = {name: peak_bytes(work) for name, work in ways.items()}
    plain = times.pop(PLAIN).cpu
    return [
        Row(
            way=name,
            adapter=adapter,
            trainable=sum(vector.sizes.values()),
            seconds=statistics.median(plain),
            ratio=paired_ratios(taken.cpu, plain),
            memory=_rise(peaks[name], peaks[PLAIN]),
        )
        for name, taken in times.items()
    ]


def adapted(workload: Workload, adapter: str) -> Any:
    """The model with a new adapter that trains cores, and a head where there is one; in evaluation mode."""
    kind = LorettaRepConfig if adapter == "rep" else LorettaAdpConfig
    config = kind(task_type=workload.task_type, preset="lean")
    model = wrapped(workload, config)
    if adapter.endswith("large"):
        rank = _largest_rank(model)
        model = wrapped(workload, kind(task_type=workload.task_type, preset="lean", tt_rank=rank))
    return model.eval()


def _largest_rank(model: Any) -> int:
    shapes = [one.shape.modes for one in model.modules() if isinstance(one, TensorTrain)]
    rank = 1
    while sum(count_parameters(modes, spread_rank(modes, rank + 1)) for modes in shapes) <= MANY:
        rank += 1
    return rank


def batch_loss(workload: Workload, model: Any) -> BatchLoss:
    """The loss of a batch in the form that the model has: two labels, or two options behind a prompt."""
    inputs = {name: workload.batch[name] for name in ("input_ids", "attention_mask")}
    rows = len(inputs["input_ids"])
    inputs["labels"] = torch.arange(rows) % 2
    form: Any = HeadForm(TASKS.get("sst2"), None, 256)
    if workload.task_type == peft.TaskType.CAUSAL_LM:
        form = PromptForm(TASKS.get("sst2"), None, 256)
        inputs |= {"options": torch.full((rows,), 2), "option_tokens": torch.tensor([[5, 7]]).repeat(rows, 1)}
    return BatchLoss(model, form, inputs, torch.full((rows,), 1 / rows), contextlib.nullcontext)


def copies_of(loss: BatchLoss, copies: int) -> BatchLoss:
    """The same batch several times over."""
    inputs = {name: value.repeat(copies, *[1] * (value.dim() - 1)) for name, value in loss.inputs.items()}
    return replace(loss, inputs=inputs, weights=loss.weights.repeat(copies))


def forward(loss: BatchLoss, passes: int) -> None:
    """Plain forward passes of the model with its adapter."""
    with torch.no_grad():
        for _ in range(passes):
            loss()


def stepper(
    vector: ParameterVector, loss: BatchLoss, losses_at: LossesAt, queries: int, file: Path
) -> Callable[[], None]:
    """Takes a training step each time it is called, as the training does."""
    settings = ZerothOrderSettings(queries=queries, epsilon=EPS, rollback=None)
    optimizer = torch.optim.SGD(vector.parameters, lr=RATE)
    estimator = ZerothOrder(
        settings,
        vector,
        seed=0,
        epochs=1,
        mine=Processes(),
        begin=lambda _: Beginning(EPS, losses_at, 0),
        trajectory=Trajectory(file),
        past=(),
        taken=0,
        checkpoints=(),
        point=lambda _: file,
        optimizer=lambda: optimizer,
        tell=lambda record, guard: None,
    )
    steps = itertools.count()

    def step() -> None:
        moment = Moment(step=next(steps), epoch=1, learning_rate=RATE, is_last=True)
        estimator.accumulate(loss, scale=1.0, backward=torch.autograd.backward, moment=moment)
        optimizer.step()
        optimizer.zero_grad()

    return step


def peak_bytes(work: Callable[[], None]) -> int | None:
    """The most memory that this process holds while it works; None where the system does not tell."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    gc.collect()
    reset.write_text("5", encoding="ascii")
    work()
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


def _rise(peak: int | None, plain: int | None) -> float | None:
    return None if peak is None or plain is None else (peak - plain) / 1e6


def main(arguments: list[str] | None = None) -> None:
    """Run the cases and print their tables, or one JSON document."""
    args = parser().parse_args(arguments)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(
        f"CPU, {args.threads} thread(s), torch {torch.__version__}, cpu time, {args.pairs} pairs, "
        f"{args.queries} queries",
        file=sys.stderr,
    )
    setting = Setting(torch.device("cpu"), torch.float32, args.model)
    results = []
    for name in args.case or CASES:
        case = CASES[name]
        workload = case.build(setting, case.rows, case.tokens)
        found = []
        for adapter in args.adapter or ADAPTERS:
            found += measure(workload, adapter, queries=args.queries, pairs=args.pairs)
        results.append({"case": name, "rows": [asdict(row) for row in found]})
        if not args.json:
            print(f"\n{markdown(case.title, found)}", flush=True)
    if args.json:
        about = {"threads": args.threads, "pairs": args.pairs, "queries": args.queries}
        print(json.dumps({**about, "cases": results}))


def markdown(title: str, rows: Sequence[Row]) -> str:
    """The table of a case, with its title as the first heading."""
    head = [title, "step by", "trains", "plain passes, s", "x plain passes", "memory, MB more"]
    lines = [
        [
            row.adapter,
            row.way,
            f"{row.trainable:,}",
            f"{row.seconds:.3f}",
            ratio_text(row.ratio),
            "" if row.memory is None else f"{row.memory:.0f}",
        ]
        for row in rows
    ]
    return table([head, *lines])


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.zo_step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--case", action="append", choices=list(CASES), help="may be repeated; else all")
    made.add_argument("--adapter", action="append", choices=ADAPTERS, help="may be repeated; else all")
    made.add_argument(
        "--model", type=Path, help="folder of SmolLM2-135M; random weights of its shape if left out"
    )
    made.add_argument("--queries", type=int, default=4)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--pairs", type=int, default=10)
    made.add_argument("--json", action="store_true")
    return made


if __name__ == "__main__":
    main()
