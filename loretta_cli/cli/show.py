"""``loretta show``: one run on the screen, or several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loretta_cli.cli import completion, options
from loretta_cli.cli.shell import command
from loretta_cli.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from loretta_cli.artifacts.run_state import RunState

EPILOG = options.examples(
    "loretta show runs/sst2-rep-minilm",
    "loretta show sst2-rep-minilm sst2-adp-minilm",
    "loretta show runs/my-run --picture so-far.png",
)


def show(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Run folders, or names of runs in runs/.",
            autocompletion=completion.runs,
        ),
    ],
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Draw the curves so far as a PNG, of one run."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Show a run, finished or not, with its curves; two or more are compared."""
    with command(json=json) as reporter:
        from loretta_cli.artifacts.run_search import find_named
        from loretta_cli.cli.run_curves import Canvas
        from loretta_cli.cli.show_one import show_one
        from loretta_cli.cli.show_several import show_several

        if picture is not None:
            _check_picture(picture.expanduser(), len(names))
        states = [find_named(name) for name in names]
        _check_different(states)
        canvas = Canvas.of_stdout()
        if len(states) == 1:
            show_one(states[0], reporter, canvas)
        else:
            show_several(states, reporter, canvas)
        if picture is not None:
            from loretta_cli.cli.run_curves import draw_picture

            draw_picture(states[0], picture.expanduser())
            reporter.line(f"written: {picture}")


def _check_picture(path: Path, runs: int) -> None:
    """Refuse a picture that cannot be drawn, before anything is shown.

    Raises:
        ConfigError: If it is of several runs, or no PNG.
        OutputError: If its folder is missing.
    """
    if runs > 1:
        raise ConfigError("--picture draws the curves of one run.", hint="Give one run.")
    if path.suffix.lower() != ".png":
        raise ConfigError(
            f"--picture writes a PNG; found {path.name!r}.", hint="Give a name that ends in .png."
        )
    if not path.parent.is_dir():
        raise OutputError(f"There is no folder {path.parent} for {path.name}.", hint="Make it first.")


def _check_different(states: list[RunState]) -> None:
    """Refuse a run beside itself.

    Raises:
        ConfigError: Naming it.
    """
    seen: set[Path] = set()
    for state in states:
        path = state.run.path.resolve()
        if path in seen:
            raise ConfigError(f"The run {state.run.path} is given twice.", hint="Name two different runs.")
        seen.add(path)
