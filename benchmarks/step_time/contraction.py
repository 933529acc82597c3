"""Why the contraction is as it is: its cost rule and the layout of its thin factor, measured.

``loretta_cli.tt`` applies a train as two thin products or as one dense matrix, whichever needs fewer
multiplications, and stores the first factor by columns. Both tables hold ratios of the time of forward
and backward pass; below 1 the way named first is the faster one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.step_time.measuring import Quartiles, paired_ratios, take_turns
from benchmarks.step_time.results import Clock, ratio_text, table
from loretta_cli.tt import TensorTrain, choose_mode_shape
from loretta_cli.tt.contraction import stored_by_columns, two_factors_are_cheaper

BOTTLENECK = 64
WIDTHS = (384, 4096)
RANKS = (5, 16, 32, 48, 64, 96)
THIN = (5, 8, 16)

Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def contraction_tables(*, tokens: int, pairs: int, clock: Clock, device: torch.device) -> str:
    """Both tables as text.

    Args:
        tokens: Rows of the inputs.
        pairs: Timed pairs for each ratio.
        clock: Whether wall time or CPU time counts.
        device: Where it is measured.
    """
    rule = [["in x out, rank", "the rule takes", "two factors / dense"]]
    layout = [["in x rank", "by columns / by rows"]]
    for width in WIDTHS:
        for rank in RANKS:
            cheaper = two_factors_are_cheaper(rank, width, BOTTLENECK)
            ratio = _ratio(_two_factors, _one_matrix, (tokens, width, rank), pairs, clock, device)
            choice = "two factors" if cheaper else "dense"
            rule.append([f"{width} x {BOTTLENECK}, rank {rank}", choice, ratio_text(ratio)])
        for rank in THIN:
            ratio = _ratio(_by_columns, _by_rows, (tokens, width, rank), pairs, clock, device)
            layout.append([f"{width} x {rank}", ratio_text(ratio)])
    return f"{tokens} tokens\n\n{table(rule)}\n\n{table(layout)}"


def _two_factors(inputs: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return inputs.mm(stored_by_columns(left)).mm(right)


def _one_matrix(inputs: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return inputs.mm(left.mm(right))


def _by_columns(inputs: torch.Tensor, left: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return inputs.mm(stored_by_columns(left))


def _by_rows(inputs: torch.Tensor, left: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return inputs.mm(left)


def _ratio(
    first: Product,
    second: Product,
    size: tuple[int, int, int],
    pairs: int,
    clock: Clock,
    device: torch.device,
) -> Quartiles:
    """Forward and backward pass of a train's first product, done in two ways."""
    tokens, width, rank = size
    train = TensorTrain(choose_mode_shape(width, BOTTLENECK), rank).to(device)
    inputs = torch.randn(tokens, width, device=device, requires_grad=True)

    def step(product: Product) -> Callable[[], None]:
        def run() -> None:
            left, right = train.factors() or (train.dense(), train.dense())
            torch.autograd.backward(product(inputs, left, right).sum())
            inputs.grad = None
            train.zero_grad(set_to_none=True)

        return run

    times = take_turns({"first": step(first), "second": step(second)}, pairs, device)
    return paired_ratios(getattr(times["first"], clock), getattr(times["second"], clock))
