"""The tables, lines and warnings of ``train --dry-run`` as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loretta_cli.numerals import counted, memory_in_words

if TYPE_CHECKING:
    from loretta_cli.config import Config
    from loretta_cli.measure.machine import FreeMemory
    from loretta_cli.planning.data_facts import SplitFacts
    from loretta_cli.planning.matched import Matched
    from loretta_cli.planning.memory import Memory
    from loretta_cli.training.gradients.forecast import Forecast

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""A title, the heads of the columns, and the rows."""

MOST_LABELS = 12
_ROWS = {
    "weights": "frozen weights",
    "adapters": "adapter and what else trains",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "activations": "activations",
    "logits": "logits",
    "directions": "directions of zo",
    "copies": "copies of a batch (zo)",
    "allocator": "freed, but kept by libraries",
}


def size(number: int) -> str:
    """Bytes for the eye: ``3.2 MiB``, ``12.8 GiB``."""
    return memory_in_words(number)


def matched_rows(matched: Sequence[Matched]) -> list[tuple[str, ...]]:
    """A row for each kind of module."""
    return [(one.pattern, one.shape or "-", f"{one.adapted} of {one.of}", one.how) for one in matched]


def data_rows(splits: Sequence[SplitFacts], max_length: int) -> Iterator[Table]:
    """The lengths of the rows, and the labels."""
    columns = ("split", "rows", "50 %", "90 %", "99 %", "longest", f"cut at {max_length:,}")
    rows = []
    for one in splits:
        cut = "none"
        if one.cut is not None:
            cut = f"{one.cut.rows:,} ({one.cut.rows / max(one.rows, 1):.1%}), by {one.cut.median:,} to "
            cut += f"{one.cut.most:,} tokens"
        lengths = [f"{value:,}" for value in one.lengths.values()] or ["-"] * 4
        rows.append((one.split, f"{one.rows:,}", *lengths, cut))
    yield "Tokens of a row", columns, rows
    with_labels = [one for one in splits if one.labels]
    if not with_labels:
        return
    names = list(with_labels[0].labels)
    shown = sorted(names, key=lambda name: -with_labels[0].labels[name])[:MOST_LABELS]
    shown = names if len(names) <= MOST_LABELS else shown
    found = [
        (name, *(_share(one.labels[name], sum(one.labels.values())) for one in with_labels)) for name in shown
    ]
    left = len(names) - len(shown)
    title = "Labels" + (f", the {len(shown)} most frequent of {len(names)}" if left else "")
    yield title, ("label", *(one.split for one in with_labels)), found


def cut_line(splits: Sequence[SplitFacts]) -> str:
    """At which length no row would be cut; empty where none is."""
    longest = max((one.cut.longest for one in splits if one.cut is not None), default=0)
    return f"data.max_length={longest} would cut no row" if longest else ""


def _share(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.1%})" if total else "0"


def length_line(config: Config, found: Forecast) -> str:
    """How long the training is."""
    training = config.training
    parts = [
        counted(found.steps, "step") + f" in {counted(found.epochs, 'epoch')}",
        f"{found.warmup_steps:,} of warm-up",
        counted(found.evaluations, "evaluation"),
    ]
    passes = counted(found.forward_passes, "forward pass", "forward passes")
    if training.gradient == "zo":
        start = f" (up to {found.start_passes:,} of them to start)" if found.start_passes else ""
        parts.append(f"{passes}{start}, no backward pass")
    else:
        parts.append(f"{passes}, and as many backward")
    return "training: " + ", ".join(parts)


def memory_rows(memory: Memory, machine: FreeMemory) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The table of memory, a column for each gradient."""
    names = list(memory.estimates)
    estimates = list(memory.estimates.values())
    columns = ("", *(f"{name}{' (chosen)' if name == memory.chosen else ''}" for name in names))
    rows: list[tuple[str, ...]] = []
    optimizers = ", ".join(one.optimizer for one in estimates)
    for key, said in _ROWS.items():
        if any(one.rows.get(key) for one in estimates):
            name = f"{said} ({optimizers})" if key == "optimizer" else said
            rows.append((name, *(size(one.rows[key]) if key in one.rows else "-" for one in estimates)))
    rows.append(("a step at its worst", *(size(one.training) for one in estimates)))
    rows.append(("an evaluation at its worst", *(size(one.evaluation) for one in estimates)))
    rows.append(("total", *(size(one.total) for one in estimates)))
    if machine.program:
        program = "beside it: Python, torch and the like"
        rows.append((program, *(size(machine.program) for _ in estimates)))
    rows.append((f"free: {machine.name}", *(size(machine.free) for _ in estimates)))
    return columns, rows


def memory_warning(memory: Memory, machine: FreeMemory, config: Config) -> str:
    """What to do where a training does not fit; empty where it does."""
    estimate = memory.estimates.get(memory.chosen)
    if estimate is None or estimate.total <= machine.free:
        return ""
    training = config.training
    remedies = []
    can_quantize = config.model.quantization is None and config.adapter.method != "full"
    quantize = ["--set model.quantization=nf4"] if can_quantize else []
    if estimate.rows["weights"] > machine.free:  # nothing else helps then
        remedies += quantize
    if estimate.evaluation >= estimate.training and training.evaluation_batch_size > 1:
        remedies.append(f"--set training.evaluation_batch_size={max(1, training.evaluation_batch_size // 4)}")
    if training.batch_size > 1:
        half = max(1, training.batch_size // 4)
        more = training.gradient_accumulation * training.batch_size // half
        remedies.append(f"--set training.batch_size={half} --set training.gradient_accumulation={more}")
    if training.gradient == "backprop":
        if not training.gradient_checkpointing:
            remedies.append("--set training.gradient_checkpointing=true")
        other = memory.estimates.get("zo")
        if other is not None and other.total < estimate.total:
            remedies.append(f"--gradient zo ({size(other.total)})")
    if (config.data.max_length or 0) > 64:
        remedies.append(f"--set data.max_length={(config.data.max_length or 0) // 2}")
    remedies += [one for one in quantize if one not in remedies]
    needed, free = size(estimate.total), size(machine.free)
    return (
        f"this training takes about {needed}, and {free} are free ({machine.name}); "
        f"try: {'; or '.join(remedies)}"
    )


def disk_line(needed: int, free: int, checkpoints: int) -> str:
    """What the run folder takes."""
    of = counted(checkpoints, "checkpoint")
    return f"disk: about {size(needed)} with {of}; {size(free)} are free"
