"""How much memory a training takes, term by term, from shapes: no weights are loaded.

=============  =======================================================================================
weights        numbers that do not train x bytes of their dtype; a quantised layer of ``n`` weights has
               ``n/2`` bytes and a scale of 1 byte a block of 64, with 4 more every 256 blocks (4 bits), or
               ``n`` bytes and 4 a row (8 bits)
adapters       numbers that train x bytes of their dtype (4: cores and trained copies are fp32)
gradients      as many bytes; ``zo``: the estimate is one too, but of a training in place there is none
optimizer      adamw 2 x 4 bytes a number, rmsprop 1 x 4, sgd with momentum 1 x 4 and without none,
               adafactor 4 x (rows + columns) of each matrix and 4 a number of each vector
activations    what a pass over the longest batch holds at its worst moment, less gradients and logits:
               traced on shapes (:mod:`measure.traced`); of 4-bit layers also the largest of their weights
               once in the dtype of the products, which it is multiplied in
logits         of the traced bytes, those of tensors with as many columns as the vocabulary has tokens
directions     ``zo``: the vector that takes the place of the parameters, and the directions that are kept;
               in place: one block of each direction
copies         ``zo``, several queries at once: ``copies - 1`` times (activations + logits + adapters), within
               ``zo.memory``
allocator      what the C library keeps of freed blocks on a CPU, which no formula has: it depends on the
               order of all requests. As measured on MiniLM and SmolLM2 (``benchmarks/memory_estimate``),
               0.3 times the larger of both passes and 0.5 times the smaller one, unless freed blocks are
               given back; and 60 MiB of small blocks and of the scratch space of products
=============  =======================================================================================

An evaluation holds what is always there (weights, adapters, optimizer) and its own pass, without gradients.
The program itself (Python, torch and other libraries) is not part of this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loretta_cli.measure.parameters import FLOAT32_BYTES

_BLOCK, _BLOCKS_OF_SCALES = 64, 256
MOST_KEPT_DIRECTIONS = 16 * 2**20
"""Bytes of the directions of a step that are kept, unless one alone is larger."""
DIRECTION_BLOCK = 2**20
"""Numbers of a direction that are drawn at once where weights are trained in place."""
KEPT_OF_LARGER, KEPT_OF_SMALLER = 0.3, 0.5
"""Shares of the passes that stay resident on a CPU after they were freed."""
KEPT_ALWAYS = 60 * 2**20
"""Bytes that stay resident on a CPU whatever the passes are."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass holds at its worst moment, in bytes.

    Args:
        live: All tensors that it makes, gradients among them.
        logits: Those of the logits among these.
    """

    live: int
    logits: int = 0


@dataclass(frozen=True, slots=True)
class Passes:
    """The passes of a training.

    Args:
        training: Over the longest batch.
        evaluation: Over the longest batch of an evaluation.
        on_cpu: Whether the C library hands out memory.
        gives_back: Whether it returns freed blocks to the system.
    """

    training: Pass
    evaluation: Pass
    on_cpu: bool = False
    gives_back: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What a model and its adapter hold.

    Args:
        weights: Bytes that do not train.
        trained: Shapes of the tensors that train.
        trained_bytes: Of these.
        dequantized: Bytes of the largest 4-bit weight in the dtype of the products; 0 without such.
    """

    weights: int
    trained: Sequence[tuple[int, ...]]
    trained_bytes: int
    dequantized: int = 0

    @property
    def numbers(self) -> int:
        """How many numbers train."""
        return sum(map(math.prod, self.trained))


@dataclass(frozen=True, slots=True)
class ZerothOrder:
    """What a zeroth-order training needs beside its forward passes.

    Args:
        in_place: Whether the weights are perturbed where they are.
        queries: The most directions of a step.
        points: The most losses of a step.
        budget: Bytes that the copies of a batched forward pass may take; 0 where queries go one by one.
    """

    in_place: bool
    queries: int
    points: int
    budget: int


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """The memory of a training, in bytes.

    Args:
        rows: The terms, in the order of the table above.
        evaluation: The worst moment of an evaluation, all that is always there included.
        optimizer: Whose state ``rows`` has.
    """

    rows: Mapping[str, int]
    evaluation: int
    optimizer: str

    @property
    def training(self) -> int:
        """The worst moment of a step."""
        return sum(self.rows.values())

    @property
    def total(self) -> int:
        """The worst moment of the whole training."""
        return max(self.training, self.evaluation)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            **self.rows,
            "training": self.training,
            "evaluation": self.evaluation,
            "total": self.total,
            "optimizer_name": self.optimizer,
        }


def estimate_memory(
    held: Held,
    passes: Passes,
    *,
    optimizer: str,
    momentum: bool = False,
    zeroth_order: ZerothOrder | None = None,
) -> MemoryEstimate:
    """Put the terms together.

    Args:
        held: By the model.
        passes: Of the training.
        optimizer: Its name.
        momentum: Whether sgd has some.
        zeroth_order: None where gradients are backpropagated.
    """
    numbers = FLOAT32_BYTES * held.numbers
    in_place = zeroth_order is not None and zeroth_order.in_place
    gradients = 0 if in_place else numbers
    state = 0 if in_place else optimizer_bytes(optimizer, held.trained, momentum=momentum)
    step = passes.training
    # A traced backward pass has the gradients made so far in it; a forward pass alone has none.
    found = step.live - step.logits - (gradients if zeroth_order is None else 0)
    rows = {
        "weights": held.weights,
        "adapters": held.trained_bytes,
        "gradients": gradients,
        "optimizer": state,
        "activations": max(0, found) + held.dequantized,
        "logits": step.logits,
    }
    if zeroth_order is not None:
        rows["directions"] = _directions(zeroth_order, numbers)
        rows["copies"] = _copies(zeroth_order, step.live, numbers)
    rows["allocator"] = kept = _kept(passes) if passes.on_cpu else 0
    always = held.weights + held.trained_bytes + state
    evaluation = always + passes.evaluation.live + held.dequantized + kept
    return MemoryEstimate(rows, evaluation, optimizer)


def optimizer_bytes(name: str, shapes: Sequence[tuple[int, ...]], *, momentum: bool = False) -> int:
    """What an optimizer remembers of tensors of these shapes, in fp32."""
    numbers = sum(map(math.prod, shapes))
    if name == "adafactor":
        return FLOAT32_BYTES * sum(_factored(shape) for shape in shapes)
    moments = {"adamw": 2, "adamw_fused": 2, "rmsprop": 1, "sgd": int(momentum)}
    return FLOAT32_BYTES * moments[name] * numbers


def _factored(shape: tuple[int, ...]) -> int:
    """Numbers of adafactor's second moment: of a matrix its rows and columns, of a vector each."""
    if len(shape) < 2:
        return math.prod(shape)
    return math.prod(shape[:-1]) + math.prod((*shape[:-2], shape[-1]))


def quantized_bytes(rows: int, columns: int, kind: str) -> int:
    """Bytes of a quantised matrix with its scales.

    Args:
        rows: Outputs.
        columns: Inputs.
        kind: ``nf4``, ``fp4`` or ``int8``.
    """
    numbers = rows * columns
    if kind == "int8":
        return numbers + FLOAT32_BYTES * rows
    blocks = -(-numbers // _BLOCK)
    return -(-numbers // 2) + blocks + FLOAT32_BYTES * -(-blocks // _BLOCKS_OF_SCALES)


def _directions(zeroth_order: ZerothOrder, vector: int) -> int:
    """Bytes of the perturbed parameters and of the directions of a step."""
    if zeroth_order.in_place:
        block = FLOAT32_BYTES * DIRECTION_BLOCK
        return min(vector, block) * (zeroth_order.queries + 1)
    kept = max(1, min(zeroth_order.queries, MOST_KEPT_DIRECTIONS // max(vector, 1)))
    return vector * (1 + kept)


def _kept(passes: Passes) -> int:
    """Bytes of freed blocks that stay resident."""
    if passes.gives_back:
        return KEPT_ALWAYS
    smaller, larger = sorted((passes.training.live, passes.evaluation.live))
    return KEPT_ALWAYS + round(KEPT_OF_LARGER * larger + KEPT_OF_SMALLER * smaller)


def _copies(zeroth_order: ZerothOrder, live: int, vector: int) -> int:
    """Bytes of the further copies of a batch in one forward pass."""
    one = live + vector
    copies = min(zeroth_order.points, zeroth_order.budget // max(one, 1))
    return max(0, copies - 1) * one
