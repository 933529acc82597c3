"""The Typer app and the entry point of ``loretta``."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from loretta_cli import __version__
from loretta_cli.cli import count_params, evaluate, export, merge, train

app = typer.Typer(
    name="loretta",
    help="Fine-tune language models with tensor-train adapters, 10 to 100 times smaller than LoRA's.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="[bold]Start here[/bold]\n\n  loretta train quickstart\n\n"
    "  loretta count-params --model meta-llama/Llama-2-7b-hf --compare",
)
app.command("train", epilog=train.EPILOG)(train.train)
app.command("eval", epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command("count-params", epilog=count_params.EPILOG)(count_params.count_params)
app.command("merge", epilog=merge.EPILOG)(merge.merge)
app.command("export", epilog=export.EPILOG)(export.export)


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
    """Run the command line; a closed pipe ends it quietly."""
    try:
        app()
    except BrokenPipeError:
        # The reader of our output is gone; stderr may be too.
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if "--json" in sys.argv:
            document = {"error": {"type": type(error).__name__, "message": str(error), "hint": ""}, "schema_version": 1}
            print(json.dumps(document))
        raise
