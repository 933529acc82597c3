"""The memory of a planned training with either source of gradients, estimated without weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from loretta_cli.config import Config
from loretta_cli.measure.flops import depth_of, with_layers
from loretta_cli.measure.memory_estimate import (
    Held,
    MemoryEstimate,
    Pass,
    Passes,
    ZerothOrder,
    estimate_memory,
    quantized_bytes,
)
from loretta_cli.measure.traced import Trace
from loretta_cli.models.loading import LoadedModel, choose_dtype, empty_model
from loretta_cli.models.quantization import kept_modules
from loretta_cli.planning.passes import evaluation_passes, largest_batch, longest_rows, loss_of
from loretta_cli.planning.plan import Plan, put_adapter
from loretta_cli.tasks.forms import Row

Gradient = Literal["backprop", "zo"]
GRADIENTS: tuple[Gradient, ...] = ("backprop", "zo")
SHORT, LONGER = 4, 8
"""A deeper model is traced with so many blocks; each further one adds what the last ones did."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of a training.

    Args:
        chosen: Which gradient it has.
        estimates: Of both; without one that could not be estimated.
        why_not: Why one is missing; empty if none is.
    """

    chosen: Gradient
    estimates: Mapping[Gradient, MemoryEstimate]
    why_not: str = ""

    def as_json(self) -> dict[str, Any]:
        """All of it, in bytes."""
        found: dict[str, Any] = {"chosen": self.chosen}
        found |= {str(name): estimate.as_json() for name, estimate in self.estimates.items()}
        return found | ({"why_not": self.why_not} if self.why_not else {})


def memory_of(
    plan: Plan, config: Config, train: Sequence[Row], evaluated: Sequence[Row], *, share: int = 1
) -> Memory:
    """Estimate both gradients of a training; the adapter is the same with both.

    Args:
        plan: The plan.
        config: With the adapter's settings filled in.
        train: Rows to train on.
        evaluated: Rows to evaluate, of one split.
        share: How many processes share a batch.
    """
    chosen: Gradient = "zo" if config.training.gradient == "zo" else "backprop"
    estimates: dict[Gradient, MemoryEstimate] = {}
    why_not = ""
    for gradient in GRADIENTS:
        with_gradient = config if gradient == chosen else _other(config, gradient)
        try:
            estimates[gradient] = estimate_of(plan, with_gradient, train, evaluated, share)
        except Exception as error:  # whatever a model that has no values stumbles over
            why_not = f"{gradient}: {(str(error) or type(error).__name__).splitlines()[0][:200]}"
    return Memory(chosen, estimates, why_not)


def _other(config: Config, gradient: Gradient) -> Config:
    """The config with the other gradient and its default optimizer."""
    update: dict[str, Any] = {"gradient": gradient, "optimizer": "sgd" if gradient == "zo" else "adamw"}
    update |= {"momentum": None, "objective": "loss"}
    if gradient == "zo":
        update["gradient_checkpointing"] = False
    training = config.training.model_copy(update=update)
    return config.model_copy(update={"training": training})


def estimate_of(
    plan: Plan, config: Config, train: Sequence[Row], evaluated: Sequence[Row], share: int = 1
) -> MemoryEstimate:
    """Estimate a training as its config says.

    Args:
        plan: The plan.
        config: With the adapter's settings filled in.
        train: Rows to train on.
        evaluated: Rows to evaluate, of one split.
        share: How many processes share a batch.
    """
    plan = dataclasses.replace(plan, config=config)
    training, zo = config.training, config.zo
    held = _held(plan)
    depth = depth_of(plan.model_config)
    if config.adapter.layers_to_transform is not None or depth <= LONGER:
        passes = _passes(plan, None, train, evaluated, share)
    else:
        short, longer = (_passes(plan, layers, train, evaluated, share) for layers in (SHORT, LONGER))
        passes = _extended(short, longer, depth)
    zeroth_order = None
    if training.gradient == "zo":
        in_place = config.adapter.method == "full"
        queries = _most_queries(config)
        points = 2 * queries if zo.estimator == "central" else queries + 1
        one_by_one = in_place or zo.backend == "sequential" or training.objective != "loss"
        zeroth_order = ZerothOrder(in_place, queries, points, 0 if one_by_one else zo.memory * 2**20)
    optimizer = training.optimizer or ("sgd" if training.gradient == "zo" else "adamw")
    return estimate_memory(
        held,
        passes,
        optimizer=optimizer,
        momentum=bool(training.momentum),
        zeroth_order=zeroth_order,
    )


def _most_queries(config: Config) -> int:
    """The most directions of a step, whatever its epoch."""
    zo = config.zo
    return zo.queries if zo.schedule == "constant" else max(zo.queries, zo.max_queries)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _dtype(plan: Plan) -> torch.dtype:
    return choose_dtype(plan.config.model.dtype, plan.model_config, _device())


def _base(plan: Plan, layers: int | None) -> Any:
    """The base model without weights, of so many blocks or all, in its dtype."""
    config = with_layers(plan.model_config, layers)
    return empty_model(config, plan.form.name, len(plan.labels)).to(_dtype(plan))


def _held(plan: Plan) -> Held:
    """What the whole model and its adapter hold."""
    base = _base(plan, None)
    itemsize = _dtype(plan).itemsize
    kind = plan.config.model.quantization
    matrices = _quantized(base, plan.model_config.model_type) if kind else {}
    saved, largest = 0, 0
    for rows, columns in matrices.values():
        saved += rows * columns * itemsize - quantized_bytes(rows, columns, kind or "")
        largest = max(largest, rows * columns * itemsize)
    model = put_adapter(plan, LoadedModel(base, ())).model
    trained = [one for one in model.parameters() if one.requires_grad]
    frozen = [one for one in (*model.parameters(), *model.buffers()) if not one.requires_grad]
    return Held(
        weights=sum(map(_bytes, frozen)) - saved,
        trained=[tuple(one.shape) for one in trained],
        trained_bytes=sum(map(_bytes, trained)),
        dequantized=0 if kind in (None, "int8") else largest,
    )


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _quantized(base: Any, model_type: str) -> dict[str, tuple[int, int]]:
    """Rows and columns of the layers that are quantised: all linear ones but heads and output layers."""
    kept = kept_modules(model_type)
    output = base.get_output_embeddings()
    found = {}
    for name, module in base.named_modules():
        is_kept = module is output or any(part in kept for part in name.split("."))
        if isinstance(module, nn.Linear | Conv1D) and not is_kept:
            found[name] = (int(module.weight.shape[0]), int(module.weight.shape[1]))
    return found


def _passes(
    plan: Plan, layers: int | None, train: Sequence[Row], evaluated: Sequence[Row], share: int
) -> Passes:
    """Trace the passes of the model with so many blocks."""
    settings = plan.config.training
    short = dataclasses.replace(plan, model_config=with_layers(plan.model_config, layers))
    model: Any = put_adapter(short, LoadedModel(_base(short, None), ())).model.to("meta")
    model.get_base_model().config.pad_token_id = plan.form.tokenizer.pad_token_id
    trace = Trace(_device().type, int(getattr(plan.model_config, "vocab_size", 0) or 0))
    longest = longest_rows(train, -(-settings.batch_size // share))
    rows = largest_batch(evaluated, settings.evaluation_batch_size)
    writes = plan.form.task.writes and settings.select_by != "loss"
    passes = evaluation_passes(plan.form, model, rows, writes=writes) if rows else []
    is_backprop = settings.gradient == "backprop"
    if is_backprop and settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})

    def step() -> None:
        model.train(is_backprop)
        # Of several batches that are summed up, two have all that more would have.
        for _ in range(min(settings.gradient_accumulation, 2)):
            with torch.set_grad_enabled(is_backprop):
                loss = loss_of(plan.form, model, longest)
            if is_backprop:
                torch.autograd.backward(loss)
            del loss
        model.zero_grad()

    def evaluate() -> None:
        model.eval()
        with torch.no_grad():
            for one in passes:
                one()

    def worst(work: Callable[[], object]) -> Pass:
        live, logits = trace.run(work)
        return Pass(live, logits)

    training, evaluation = worst(step), worst(evaluate)
    # With checkpointing, training.returned_memory has freed blocks given back.
    gives_back = settings.gradient_checkpointing
    return Passes(training, evaluation, on_cpu=trace.device == "cpu", gives_back=gives_back)


def _extended(short: Passes, longer: Passes, depth: int) -> Passes:
    """The passes of a model of so many blocks, from those of two shallow ones."""

    def extend(one: int, two: int) -> int:
        return max(0, one + (two - one) * (depth - SHORT) // (LONGER - SHORT))

    def both(one: Pass, two: Pass) -> Pass:
        return Pass(extend(one.live, two.live), extend(one.logits, two.logits))

    training, evaluation = both(short.training, longer.training), both(short.evaluation, longer.evaluation)
    return dataclasses.replace(short, training=training, evaluation=evaluation)
