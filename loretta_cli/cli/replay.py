"""``loretta replay``."""

from __future__ import annotations

from typing import Annotated

import typer

from loretta_cli.cli import options
from loretta_cli.cli.shell import command, quiet_transformers
from loretta_cli.errors import ConfigError, RunError

EPILOG = options.examples(
    "loretta replay runs/sst2-adp-zo",
    "loretta replay runs/sst2-adp-zo --to 500 --output at-500",
)


def replay(
    run: options.Run,
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="STEP", help="Steps to take; by default those of the run's adapter."),
    ] = None,
    output: options.Output = None,
    json: options.Json = False,
) -> None:
    """Rebuild the adapter of a zeroth-order run from its trajectory, without a forward pass."""
    with command(json=json) as reporter:
        from loretta_cli.artifacts.run_folder import RunFolder

        if to is not None and to < 0:
            raise ConfigError(
                f"--to is {to}; expected 0 or more.", hint="Without --to, all steps of the adapter are taken."
            )
        found = RunFolder(run)
        if not found.config_file.is_file():
            raise RunError(f"{run} is not a run folder: it has no config.yaml.")
        quiet_transformers()
        from loretta_cli.training.replay import replay as replay_run

        report = replay_run(found.last_stage, output, to=to)
        same = {True: "yes, bit for bit", False: "no", None: "the run saved nothing after this step"}
        reporter.table(
            "Replayed",
            ("", "result"),
            [
                ("adapter", f"{report.output}/adapter"),
                ("after step", str(report.step)),
                ("same as what the run saved", same[report.verified]),
            ],
        )
        reporter.result(report.as_json())
        if report.verified is False:
            raise RunError(
                f"The rebuilt adapter differs from {report.compared_with}.",
                hint="Another kind of processor or other versions of the libraries round differently; the "
                "versions are in the header of trajectory.jsonl.",
            )
