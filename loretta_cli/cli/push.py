"""``loretta push``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loretta_cli.cli import completion, options
from loretta_cli.cli.shell import command
from loretta_cli.numerals import counted

EPILOG = options.examples(
    "loretta push runs/sst2-rep-minilm my-name/sst2-rep --dry-run",
    "loretta push runs/sst2-rep-minilm my-name/sst2-rep --private",
    "loretta push my-lora my-name/sst2-lora --message 'The LoRA of it'",
)


def push(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|DIR",
            help="A finished run, an export, or a merged model.",
            autocompletion=completion.runs,
        ),
    ],
    repository: Annotated[str, typer.Argument(metavar="REPO-ID", help="On the hub: your-name/a-model.")],
    private: Annotated[bool, typer.Option("--private", help="Only you can see it.")] = False,
    revision: Annotated[
        str | None, typer.Option("--revision", metavar="B", help="Branch, made if it is not there.")
    ] = None,
    message: Annotated[str | None, typer.Option("--message", metavar="TEXT", help="Of the commit.")] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="HUB-ID", help="The base model on the hub, if the run has it from a folder."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the files that would go; ask the hub nothing.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Upload an adapter and its card to the Hugging Face hub: no data, no checkpoints, no paths."""
    with command(json=json) as reporter:
        from loretta_cli.artifacts.push import PushRequest, plan_push
        from loretta_cli.artifacts.push import push as push_folder

        request = PushRequest(folder, repository, private, revision, message, base)
        report = plan_push(request) if dry_run else push_folder(request)
        rows = [(file.path, f"{file.bytes:,}") for file in report.files]
        files = counted(len(report.files), "file")
        reporter.table(f"To {report.repository}", ("file", "bytes"), [*rows, (files, f"{report.bytes:,}")])
        if report.commit is None:
            reporter.note("nothing was uploaded")
        else:
            reporter.line(f"{report.url} (commit {report.commit})")
        reporter.result(report.as_json())
