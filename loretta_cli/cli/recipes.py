"""``loretta recipes``: list, show and copy the shipped recipes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loretta_cli.cli import completion, options
from loretta_cli.cli.shell import command

if TYPE_CHECKING:
    from loretta_cli.config import Config

EPILOG = options.examples(
    "loretta recipes list 'paper/table2-*'",
    "loretta recipes show paper/table2-boolq-adp",
    "loretta recipes copy quickstart my-run.yaml",
)

app = typer.Typer(help="List, show and copy the shipped recipes.", rich_markup_mode="rich", epilog=EPILOG)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of a shipped recipe, or a YAML file.",
        autocompletion=completion.recipes,
    ),
]


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """Print the help where no command is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list", epilog=options.examples("loretta recipes list", "loretta recipes list boolq"))
def list_recipes(
    pattern: Annotated[
        str | None, typer.Argument(metavar="[PATTERN]", help="A glob such as paper/table1-*, or a word.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List the shipped recipes, each with what it is about."""
    with command(json=json) as reporter:
        from loretta_cli.config import find_recipe, load_config, matching_recipes, recipe_about

        found = [(name, find_recipe(name)) for name in matching_recipes(pattern)]
        about = {name: recipe_about(path) for name, path in found}
        reporter.table("", ("recipe", "about"), list(about.items()))
        reporter.next_commands([f"loretta recipes show {found[0][0]}", f"loretta recipes copy {found[0][0]}"])
        if json:
            recipes = [
                {"name": name, "about": about[name], **_facts(load_config(path).config)}
                for name, path in found
            ]
            reporter.result({"recipes": recipes})


@app.command("show", epilog=options.examples("loretta recipes show quickstart"))
def show(name: Name, json: options.Json = False) -> None:
    """Print a recipe as it stands in its file; with --json, the settings in it."""
    with command(json=json) as reporter:
        from loretta_cli.config import find_recipe, load_config, read_recipe, recipe_about, recipe_name

        path = find_recipe(name)
        reporter.line(read_recipe(path).rstrip("\n"))
        if json:
            config = load_config(path).config
            settings = config.model_dump(mode="json", exclude_unset=True)
            reporter.result({"name": recipe_name(path), "about": recipe_about(path), "settings": settings})


@app.command("copy", epilog=options.examples("loretta recipes copy paper/table2-boolq-adp my-boolq.yaml"))
def copy(
    name: Name,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="File or folder to write; unset means here."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    json: options.Json = False,
) -> None:
    """Copy a recipe to change it."""
    with command(json=json) as reporter:
        from loretta_cli.config import copy_recipe

        written = copy_recipe(name, path or Path(), overwrite=overwrite)
        reporter.line(f"written: {written}")
        shown = written if written.is_absolute() else f"./{written}"
        reporter.next_commands([f"loretta train {shlex.quote(str(shown))}"])
        reporter.result({"recipe": name, "output": written})


def _facts(config: Config) -> dict[str, Any]:
    """What a recipe is chosen by."""
    one = [] if config.task.name is None else [config.task.name]
    return {
        "model": config.model.name,
        "method": config.adapter.method,
        "tasks": config.task.names or one,
    }
