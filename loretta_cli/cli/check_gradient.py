"""``loretta check-gradient``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from loretta_cli.cli import completion, options
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers
from loretta_cli.errors import ConfigError
from loretta_cli.methods import METHODS, check_method
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    from loretta_cli.training.gradients.checking import DtypeCheck, GradientCheck

EPILOG = options.examples(
    "loretta check-gradient --model bundled:minilm --task sst2 --data sst2",
    "loretta check-gradient zo/quickstart --directions 32 --set zo.epsilon=0.001",
)
COLUMNS = ("dtype", "eps", "correlation", "relative error", "zero slopes", "cosine", "variance", "")


def check_gradient(
    recipe: options.Recipe = None,
    model: options.Model = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", metavar="X", help=f"{', '.join(METHODS)}.", autocompletion=completion.methods
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", metavar="T", help="A task.", autocompletion=completion.tasks),
    ] = None,
    data: options.Data = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Seed of everything random.")
    ] = None,
    preset: options.Preset = None,
    batches: Annotated[
        int, typer.Option("--batches", metavar="N", help="Training batches that make the loss.")
    ] = 1,
    directions: Annotated[
        int, typer.Option("--directions", metavar="N", help="Random directions to compare slopes along.")
    ] = 16,
    overrides: options.Overrides = None,
    trust_remote_code: options.RemoteCode = False,
    json: options.Json = False,
) -> None:
    """Compare zeroth-order slopes with the exact gradient, for several eps and dtypes."""
    flags = {
        "model.name": model,
        "adapter.method": method,
        "adapter.preset": preset,
        "task.name": task,
        "data.source": data,
        "training.seed": seed,
        "training.gradient": "zo",
        "model.trust_remote_code": trust_remote_code or None,
    }
    with command(json=json) as reporter:
        from loretta_cli.config import find_recipe, load_config
        from loretta_cli.tasks import check_task

        for name, number, least in (("--batches", batches, 1), ("--directions", directions, 2)):
            if number < least:
                raise ConfigError(f"{name} is {number}; expected {least} or more.")
        taken_back = ["task.names=null"] if task else []
        loaded = load_config(
            find_recipe(recipe) if recipe else None, flags, [*taken_back, *(overrides or ())]
        )
        config = loaded.config
        check_method(config.adapter.method)
        check_remote_code(config, trusted=trust_remote_code)
        if config.task.names:
            raise ConfigError("The recipe has several tasks.", hint="Choose one with --task.")
        if config.task.name is not None:
            check_task(config.task.name)
        from loretta_cli.training.gradients.checking import check_gradient as check

        quiet_transformers()
        found = check(config, reporter, batches=batches, directions=directions)
        _show(found, reporter)
        reporter.result(found.as_json())


def _show(found: GradientCheck, reporter: Reporter) -> None:
    """The table, what exact slopes would give, and which eps to use."""
    rows = []
    for of_dtype in found.dtypes:
        for check in of_dtype.checks:
            marks = [
                mark
                for mark, holds in (
                    ("good", check.is_good),
                    ("measured", check.eps == of_dtype.calibrated),
                    ("zo.epsilon", check.eps == found.own_eps),
                )
                if holds
            ]
            numbers = (check.correlation, check.relative_error)
            worth = (check.cosine, check.variance)
            rows.append(
                (
                    of_dtype.dtype,
                    f"{check.eps:g}",
                    *("not finite" if number is None else f"{number:.3f}" for number in numbers),
                    f"{check.zeros} of {found.directions}",
                    *("not finite" if number is None else f"{number:.3g}" for number in worth),
                    ", ".join(marks),
                )
            )
    rows.append(
        (
            "exact slopes",
            "",
            "1",
            "0",
            "",
            f"{found.theory.cosine:.3g}",
            f"{found.theory.variance:.3g}",
            "theory",
        )
    )
    title = f"{found.directions} directions of {found.parameters:,} numbers, {found.rows} rows"
    reporter.table(title, COLUMNS, rows)
    for of_dtype in found.dtypes:
        reporter.line(_advice(of_dtype, found.own_eps))


def _advice(found: DtypeCheck, own: float | None) -> str:
    """Which eps to use with a dtype, and whether a run would find a good one."""
    best = found.best
    if best is None:
        return f"{found.dtype}: no loss is finite; use another dtype"
    good = [check.eps for check in found.checks if check.is_good]
    if good:
        said = f"{found.dtype}: use zo.epsilon={best.eps:g} ({min(good):g} to {max(good):g} would do)"
    else:
        said = (
            f"{found.dtype}: no eps gives good slopes; the best is zo.epsilon={best.eps:g}, whose slopes are "
            f"{best.relative_error:.0%} off"
        )
    if own is not None:
        said += f"; the run's own, {own:g}, is {'good' if found.at(own).is_good else 'not good'}"
    if found.calibrated is None:
        return f"{said}; a run could not measure one for itself"
    measured = found.at(found.calibrated)
    is_right = measured.is_good or (not good and measured.eps == best.eps)
    word = "good" if measured.is_good else "the best there is" if is_right else "not good: set zo.epsilon"
    return f"{said}; a run without zo.epsilon measures {found.calibrated:g}, which is {word}"
