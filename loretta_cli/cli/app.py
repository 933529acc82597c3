"""The Typer app and the entry point of ``loretta``."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from loretta_cli import __version__
from loretta_cli.cli import (
    check_gradient,
    compare,
    compress,
    count_params,
    env,
    evaluate,
    export,
    merge,
    predict,
    push,
    recipes,
    replay,
    runs,
    settings,
    show,
    train,
)
from loretta_cli.cli.setting_options import SettingsCommand
from loretta_cli.errors import ConfigError, LorettaError
from loretta_cli.report import make_reporter

app = typer.Typer(
    name="loretta",
    help="Fine-tune language models with tensor-train adapters, 10 to 100 times smaller than LoRA's.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="[bold]Start here[/bold]\n\n  loretta train quickstart\n\n"
    "  loretta count-params --model meta-llama/Llama-2-7b-hf --compare",
)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
TRAINING, LOOKING, SHIPPING, MORE = "Train", "Look", "Take it elsewhere", "More"
for panel, name, module, verb in (
    (TRAINING, "train", train, train.train),
    (TRAINING, "compare", compare, compare.compare),
    (TRAINING, "check-gradient", check_gradient, check_gradient.check_gradient),
    (LOOKING, "eval", evaluate, evaluate.evaluate),
    (LOOKING, "predict", predict, predict.predict),
    (LOOKING, "runs", runs, runs.runs),
    (LOOKING, "show", show, show.show),
    (SHIPPING, "merge", merge, merge.merge),
    (SHIPPING, "export", export, export.export),
    (SHIPPING, "push", push, push.push),
    (SHIPPING, "compress", compress, compress.compress),
    (SHIPPING, "replay", replay, replay.replay),
    (MORE, "count-params", count_params, count_params.count_params),
    (MORE, "settings", settings, settings.settings),
    (MORE, "env", env, env.env),
):
    kind = SettingsCommand if name in ("train", "compare") else None
    app.command(name, cls=kind, epilog=module.EPILOG, rich_help_panel=panel)(verb)
app.add_typer(recipes.app, name="recipes", rich_help_panel=MORE)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Print the version, or the help where no command is given."""
    if version:
        typer.echo(f"loretta {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; a closed pipe ends it quietly, and ``--json`` holds for wrong usage too."""
    _replace_missing_streams()
    try:
        try:
            if "--json" in sys.argv:
                _main_with_json()
            app()
        finally:
            sys.stdout.flush()  # at exit it would be too late for a sentence
    except BrokenPipeError:
        # The reader of our output is gone; what is still buffered must not complain at exit.
        _drop_stdout()
        sys.exit(1)
    except OSError as error:
        if not _is_lost(error):
            raise
        _drop_stdout()
        problem = LorettaError(f"Cannot write: {error.strerror}.", hint="Make room where the output goes.")
        make_reporter(json=False).failure(problem)
        sys.exit(LorettaError.exit_code)


def _main_with_json() -> None:
    """Run with every failure, a wrong flag and a bug included, as a JSON document on stdout."""
    try:
        sys.exit(app(standalone_mode=False))
    except Exception as error:
        say = getattr(error, "format_message", None)
        if say is not None:
            make_reporter(json=True).failure(ConfigError(say(), hint="See loretta COMMAND --help."))
            sys.exit(ConfigError.exit_code)
        if not _is_lost(error):
            make_reporter(json=True).failure(LorettaError(f"{type(error).__name__}: {error}"))
        raise


def _replace_missing_streams() -> None:
    """Python has no stream for a closed descriptor; what is written there goes nowhere, as asked."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open to the end


def _is_lost(error: Exception) -> bool:
    """Whether what was to be written found no room, or no reader."""
    return isinstance(error, OSError) and (error.errno in _NO_ROOM or isinstance(error, BrokenPipeError))


def _drop_stdout() -> None:
    """Let what is buffered for stdout go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
