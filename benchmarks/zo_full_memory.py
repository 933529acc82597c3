r"""Memory, time and drift of zeroth-order training of every weight, beside plain forward passes.

Usage::

    python -m benchmarks.zo_full_memory --model FOLDER --data data/sst2
    python -m benchmarks.zo_full_memory --model FOLDER --data data/sst2 --directions rademacher --json

A step (two forward passes, one query) and two plain forward passes of the same batch take turns in one
process. Memory is the peak of what tensors take beyond the model, of a step and of a forward pass, with one
thread; several threads hold a chunk of a direction each. Drift is how far perturbing in place and going back
alone, at learning rate 0, has moved the weights, over their norm.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from loretta_cli.measure.live_memory import peak_rise_bytes
from loretta_cli.training.gradients.base import BatchLoss
from loretta_cli.training.gradients.in_place import evaluated
from loretta_cli.training.gradients.trajectory import Record
from loretta_cli.training.gradients.vector import trained_parameters
from loretta_cli.training.gradients.weights import Weights

LEARNING_RATE = 1e-9


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured.

    Args:
        weights: Bytes of the weights.
        forward: Bytes that a forward pass takes beyond them at its worst moment.
        step: Bytes that a step takes so.
        over_inference: What a step takes more than a forward pass, over the weights.
        ratio_wall: Median time of a step over that of two forward passes, by the clock on the wall.
        ratio_cpu: The same in CPU time of the process.
        seconds: Median of a step, by the clock on the wall.
        drift: Of so many steps as asked for, relative to the norm of the weights.
    """

    weights: int
    forward: int
    step: int
    over_inference: float
    ratio_wall: float
    ratio_cpu: float
    seconds: float
    drift: float


def measure(weights: Weights, loss: BatchLoss, *, rounds: int, drift_steps: int, eps: float) -> Result:
    """Measure one model with one batch.

    Args:
        weights: Of the model, trained in place.
        loss: Of the batch.
        rounds: Steps that are timed.
        drift_steps: Steps whose drift is measured.
        eps: Distance of the perturbed points.
    """
    points = {(0, 1), (0, -1)}
    numbers = iter(range(10**9))

    def step() -> None:
        number = next(numbers)
        found = weights.losses_away(number, 1, points, lambda: float(evaluated(loss)), eps)
        g = (found[0, 1] - found[0, -1]) / (2 * eps)
        weights.take(_record(number, g, LEARNING_RATE, eps), is_away=True)

    def forwards() -> None:
        for _ in points:
            float(evaluated(loss))

    size = sum(one.numel() * one.element_size() for one in weights.vector.parameters)
    device = weights.vector.parameters[0].device
    with _threads(1):
        forwards()
        forward_peak, step_peak = peak_rise_bytes(forwards, device), peak_rise_bytes(step, device)
    pairs = [(_timed(forwards, device), _timed(step, device)) for _ in range(rounds)]
    return Result(
        weights=size,
        forward=forward_peak,
        step=step_peak,
        over_inference=(step_peak - forward_peak) / size,
        ratio_wall=statistics.median(one[0] / two[0] for two, one in pairs),
        ratio_cpu=statistics.median(one[1] / two[1] for two, one in pairs),
        seconds=statistics.median(one[0] for _, one in pairs),
        drift=_drift(weights, drift_steps, eps, next(numbers)),
    )


def _drift(weights: Weights, steps: int, eps: float, first: int) -> float:
    before = weights.vector.read().float()
    for step in range(first, first + steps):
        weights.take(_record(step, 0.0, 0.0, eps), is_away=False)
    return float((weights.vector.read().float() - before).norm() / before.norm())


def _record(step: int, g: float, learning_rate: float, eps: float) -> Record:
    return Record(step, 0.0, (g,), eps=eps, lr=learning_rate, scale=1.0, forward_passes=0)


def _timed(action: Callable[[], None], device: torch.device) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - wall, time.process_time() - cpu


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def prepare(args: argparse.Namespace) -> tuple[Weights, BatchLoss]:
    """The weights of a model and the loss of its first training rows."""
    from loretta_cli.config import load_config
    from loretta_cli.models.loading import to_device
    from loretta_cli.planning.plan import load_base, make_plan, put_adapter

    flags: dict[str, Any] = {"model.name": args.model, "task.name": args.task, "data.source": args.data}
    flags |= {"adapter.method": "full", "training.gradient": "zo", "data.train_rows": 4 * args.batch_size}
    plan = make_plan(load_config(None, flags, [f"model.dtype={args.dtype}", *args.set]).config)
    model: Any = to_device(put_adapter(plan, load_base(plan)).model)
    rows = plan.form.encode(plan.data.train).rows[: args.batch_size]
    batch = {name: value.to(model.device) for name, value in plan.form.collate(list(rows)).items()}
    share = torch.full((len(rows),), 1 / len(rows), device=model.device)
    weights = Weights(
        trained_parameters(model, any_dtype=True),
        seed=0,
        distribution=args.directions,
        two_sided=True,
        weight_decay=0.0,
        undecayed=(),
    )
    return weights, BatchLoss(model, plan.form, batch, share, contextlib.nullcontext)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print one line or one JSON document."""
    args = parser().parse_args(arguments)
    torch.set_num_threads(args.threads)
    weights, loss = prepare(args)
    result = measure(weights, loss, rounds=args.rounds, drift_steps=args.drift_steps, eps=args.eps)
    if args.json:
        print(json.dumps(asdict(result)))
        return
    print(
        f"{result.weights / 2**20:.0f} MiB of weights; beyond them a forward pass takes "
        f"{result.forward / 2**20:.1f} MiB, a step {result.step / 2**20:.1f} MiB "
        f"({result.over_inference:+.2%} of the weights)\n"
        f"step / two forward passes: {result.ratio_wall:.2f} (wall), {result.ratio_cpu:.2f} (CPU time); "
        f"{result.seconds:.2f} s a step\n"
        f"drift of {args.drift_steps} steps: {result.drift:.1e}"
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", required=True, help="a folder or name of a model")
    made.add_argument("--task", default="sst2")
    made.add_argument("--data", help="folder of the task's rows; default: its data on the hub")
    made.add_argument("--batch-size", type=int, default=16)
    made.add_argument("--directions", choices=("gaussian", "rademacher"), default="gaussian")
    made.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    made.add_argument("--eps", type=float, default=1e-3)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--drift-steps", type=int, default=100)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    made.add_argument("--json", action="store_true")
    return made


if __name__ == "__main__":
    main()
