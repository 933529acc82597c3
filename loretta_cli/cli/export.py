"""``loretta export``."""

from __future__ import annotations

from typing import Annotated

import typer

from loretta_cli.cli import options
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers

EPILOG = options.examples("loretta export runs/sst2-rep-minilm --format lora --output my-lora")


def export(
    run: options.Run,
    format: Annotated[str, typer.Option("--format", "-f", metavar="F", help="lora: rep as a PEFT LoRA.")],
    output: options.Output = None,
    data: options.Data = None,
    trust_remote_code: options.RemoteCode = False,
    json: options.Json = False,
) -> None:
    """Write a run's adapter in a format that others load, and check it there."""
    with command(json=json) as reporter:
        from loretta_cli.artifacts.export import FORMATS
        from loretta_cli.artifacts.run_folder import find_run

        FORMATS.check(format)
        found = find_run(run).last_stage
        check_remote_code(found.read_config(), trusted=trust_remote_code)
        quiet_transformers()
        report = FORMATS.get(format)(found, output or run / format, reporter, data)
        comparison = report.comparison
        rows = [
            ("output", report.output),
            ("largest logit difference", f"{comparison.max_abs_difference:.3g}"),
            ("accepted", f"{comparison.tolerance:.3g}"),
        ]
        if report.quantization is not None:
            rows.append(("trained on a base in", report.quantization))
        if report.rank is not None:
            rows.append(("LoRA rank", str(report.rank)))
        reporter.table(f"Export as {report.format}", ("", "result"), rows)
        reporter.result(report.as_json())
