"""Flags that several commands share, so that they look and mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loretta_cli.cli import completion

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change any setting, such as training.epochs=3; loretta settings lists them.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="M", help="Hub id, local folder, GGUF file, or a bundled name."),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DIR|FILE|HUB-ID",
        help="Rows: a folder with train and validation, a file, a hub id.",
    ),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="M",
        help="Where the run's base model is now, if it was moved: folder, GGUF file or hub id.",
    ),
]
Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run folder written by `loretta train`.", autocompletion=completion.runs
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="P",
        help="Adapter settings: auto, paper, standard or lean.",
        autocompletion=completion.presets,
    ),
]
Recipe = Annotated[
    str | None,
    typer.Argument(
        metavar="[RECIPE]",
        help="Name of a shipped recipe, or a YAML file.",
        autocompletion=completion.recipes,
    ),
]
RemoteCode = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Run Python code that comes with the model. Off by default."),
]
Checkpoint = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="WHICH",
        help="best or last, of a run in training too. Unset, the finished adapter.",
        autocompletion=completion.checkpoints,
    ),
]
EXAMPLES = "[bold]Examples[/bold]"


def examples(*lines: str) -> str:
    """The epilog of a command's help."""
    return f"{EXAMPLES}\n\n" + "\n\n".join(f"  {line}" for line in lines)
