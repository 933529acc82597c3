"""``loretta merge``."""

from __future__ import annotations

from typing import Annotated

import typer

from loretta_cli.cli import options
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers

EPILOG = options.examples(
    "loretta merge runs/sst2-rep-minilm",
    "loretta merge runs/sst2-rep-minilm --output merged-model",
    "loretta merge runs/boolq-rep-nf4 --dequantize",
)


def merge(
    run: options.Run,
    output: options.Output = None,
    data: options.Data = None,
    dequantize: Annotated[
        bool,
        typer.Option("--dequantize", help="For a quantised base: write a model that is not quantised."),
    ] = False,
    trust_remote_code: options.RemoteCode = False,
    json: options.Json = False,
) -> None:
    """Fold an adapter into the base weights, and check the result: rep, lora, vera, ia3, bitfit, full, head.

    Of a run of several tasks with a head each, the merged model has the head of the last one.
    """
    with command(json=json) as reporter:
        from loretta_cli.artifacts.run_folder import find_run

        whole = find_run(run)
        found = whole.last_stage
        check_remote_code(found.read_config(), trusted=trust_remote_code)
        quiet_transformers()
        from loretta_cli.artifacts.merge import merge as merge_run

        report = merge_run(found, output or run / "merged", reporter, data=data, dequantize=dequantize)
        comparison = report.comparison
        beside = "base and adapter"
        if report.dequantized is not None:
            beside = f"base, dequantised from {report.dequantized}, and adapter"
        head = []
        if report.head and found != whole and not whole.read_config().task.shared_head:
            head = [("head", f"of {report.task}, the last task; the others' are in the run alone")]
        reporter.table(
            "Merged model",
            ("", "result"),
            [
                ("output", report.output),
                *head,
                ("largest logit difference", f"{comparison.max_abs_difference:.3g}"),
                ("compared with", beside),
                ("accepted", f"{comparison.tolerance:.3g}"),
                ("rows compared", str(comparison.rows)),
            ],
        )
        reporter.result(report.as_json())
