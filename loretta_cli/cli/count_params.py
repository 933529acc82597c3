"""``loretta count-params``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal

from loretta_cli.cli import completion, options
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers
from loretta_cli.errors import ConfigError

if TYPE_CHECKING:
    from loretta_cli.measure.counting import MethodCount

EPILOG = options.examples(
    "loretta count-params --model meta-llama/Llama-2-7b-hf --method adp",
    "loretta count-params --model microsoft/deberta-base --compare",
    "loretta count-params --model ./my-model --method rep --set adapter.tt_rank=8 --layers",
)


def count_params(
    recipe: options.Recipe = None,
    model: options.Model = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="X",
            help="adp, rep, lora, ia3, full, ...; may be repeated.",
            autocompletion=completion.methods,
        ),
    ] = None,
    preset: options.Preset = None,
    overrides: options.Overrides = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show adp, rep and the usual methods beside each other.")
    ] = False,
    layers: Annotated[
        bool, typer.Option("--layers", help="Show the TT modes and ranks of each matrix.")
    ] = False,
    labels: Annotated[
        int | None, typer.Option("--labels", metavar="N", min=2, help="Labels of a classification head (2).")
    ] = None,
    trust_remote_code: options.RemoteCode = False,
    json: options.Json = False,
) -> None:
    """Count what a method trains, without weights, network or licence."""
    with command(json=json) as reporter:
        from loretta_cli.config import find_recipe, load_config
        from loretta_cli.methods import COMPARED, check_method

        flags = {
            "model.name": model,
            "adapter.preset": preset,
            "model.trust_remote_code": trust_remote_code or None,
        }
        loaded = load_config(find_recipe(recipe) if recipe else None, flags, overrides or ())
        check_remote_code(loaded.config, trusted=trust_remote_code)
        own = list(dict.fromkeys(method or [loaded.config.adapter.method]))
        for name in own:
            check_method(name)
        methods = list(dict.fromkeys([*own, *(("adp", "rep", *COMPARED) if compare else ())]))
        if loaded.config.model.name is None:
            raise ConfigError("No model is given.", hint="Add --model NAME.")
        from loretta_cli.measure.counting import count_methods

        quiet_transformers()
        counts = count_methods(loaded.config, methods, asked=set(own), labels=labels, flops=compare)
        title = f"Parameters on {loaded.config.model.name}"
        reporter.table(title, *(_comparison(counts) if compare else _table(counts)))
        for note in _notes(methods, counts) if compare else ():
            reporter.line(note)
        for count in counts:
            if count.preset:
                reporter.line(f"{count.method}: preset {count.preset} ({count.reason})")
            if layers:
                shapes = [
                    (s.name, s.modes, "·".join(map(str, s.ranks)), f"{s.parameters:,}")
                    for s in count.count.shapes
                ]
                reporter.table(
                    f"Trains of {count.method}", ("matrix", "modes in | out", "ranks", "parameters"), shapes
                )
        documents = [
            count.as_json(with_shapes=layers) | (count.comparison() if compare else {}) for count in counts
        ]
        reporter.result(documents[0] if len(documents) == 1 else {"results": documents})


def _table(counts: list[MethodCount]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from loretta_cli.measure.parameters import own_part

    named = {own_part(entry.method) for entry in counts}
    own = named.pop() if len(named) == 1 else "cores or adapter"
    columns = ("method", "trainable", "percent", own, "biases", "norms", "head", "storage (fp32)")
    rows = []
    for entry in counts:
        count = entry.count
        parts = [f"{count.parts.get(name, 0):,}" for name in ("cores", "biases", "norms", "head")]
        if "base" in count.parts:
            parts = ["-"] * 4
        size = decimal(count.storage_bytes)
        rows.append((entry.method, f"{count.trainable:,}", f"{count.percent:.4f}", *parts, size))
    return columns, rows


def _comparison(counts: list[MethodCount]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = ("method", "trainable", "percent", "storage", "AdamW state", "FLOPs", "in the paper")
    rows: list[tuple[str, ...]] = [
        (
            entry.method,
            f"{entry.count.trainable:,}",
            f"{entry.count.percent:.4f}",
            decimal(entry.count.storage_bytes),
            decimal(entry.optimizer_bytes),
            "-" if entry.flops is None else f"{entry.flops:.2e}",
            "" if entry.published is None else f"{entry.published.trainable / 1e6:.2f}M",
        )
        for entry in counts
    ]
    return columns, rows


def _notes(methods: list[str], counts: list[MethodCount]) -> Iterator[str]:
    """What the comparison does not say by itself."""
    from loretta_cli.measure.counting import FLOPS_TOKENS

    yield (f"storage and AdamW state in fp32; FLOPs of one training step on one row of {FLOPS_TOKENS} tokens")
    counted = {entry.method for entry in counts}
    if missing := [name for name in methods if name not in counted]:
        yield f"no place on this model: {', '.join(missing)}"
    for entry in counts:
        if entry.published is not None and entry.published.reason:
            yield f"{entry.method}: {entry.published.reason}"
