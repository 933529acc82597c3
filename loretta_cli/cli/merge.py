"""``loretta merge``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from loretta_cli.cli import options
from loretta_cli.cli.next_steps import card_of, of_merged
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    from loretta_cli.artifacts.merging.report import MergeReport

EPILOG = options.examples(
    "loretta merge runs/sst2-rep-minilm",
    "loretta merge runs/sst2-rep-minilm --output merged-model --dtype bfloat16",
    "loretta merge runs/boolq-rep-nf4 --dequantize",
)


def merge(
    run: options.Run,
    output: options.Output = None,
    data: options.Data = None,
    base: options.Base = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            metavar="T",
            help="Number type to write: float32, bfloat16 or float16. Default: model.dtype of the run, "
            "else as the base is stored.",
        ),
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            "--verify",
            metavar="V",
            help="logits: of real rows, before and after. layers: each merged layer on random inputs. "
            "Default: logits if the model fits in memory.",
        ),
    ] = None,
    dequantize: Annotated[
        bool,
        typer.Option("--dequantize", help="For a quantised base: write a model that is not quantised."),
    ] = False,
    trust_remote_code: options.RemoteCode = False,
    json: options.Json = False,
) -> None:
    """Fold an adapter into the base weights, and check the result: rep, lora, vera, ia3, bitfit, full, head.

    rep, lora and ia3 are merged file by file, with about one file of the base model in memory.

    Of a run of several tasks with a head each, the merged model has the head of the last one.
    """
    with command(json=json) as reporter:
        from loretta_cli.artifacts.merging.choices import CHECKS, DTYPES, check_choice
        from loretta_cli.artifacts.merging.refusals import check_mergeable
        from loretta_cli.artifacts.run_folder import find_run
        from loretta_cli.cli.early import check_places

        check_choice("--dtype", dtype, DTYPES)
        check_choice("--verify", verify, CHECKS)
        whole = find_run(run, base=base)
        found = whole.last_stage
        check_remote_code(found.read_config(), trusted=trust_remote_code)
        check_mergeable(found.read_config().adapter.method)
        check_places(found, data=data, output=output or run / "merged")
        quiet_transformers()
        import torch

        from loretta_cli.artifacts.merge import MergeRequest
        from loretta_cli.artifacts.merge import merge as merge_run

        request = MergeRequest(
            found,
            output or run / "merged",
            data,
            dequantize,
            None if dtype is None else getattr(torch, dtype),
            cast("Literal['logits', 'layers'] | None", verify),
        )
        report = merge_run(request, reporter)
        head = []
        if report.head and found != whole and not whole.read_config().task.shared_head:
            head = [("head", f"of {report.task}, the last task; the others' are in the run alone")]
        _show(report, head, reporter)
        reporter.line(card_of(Path(report.output)))
        reporter.next_commands(of_merged(Path(report.output), found.read_config()) if found == whole else [])
        reporter.result(report.as_json())


def _show(report: MergeReport, head: list[tuple[str, str]], reporter: Reporter) -> None:
    check = report.verification
    comparison = check.comparison
    beside = "base and adapter"
    if report.dequantized is not None:
        beside = f"base, dequantised from {report.dequantized}, and adapter"
    if check.kind == "logits":
        difference, compared = "largest logit difference", ("rows compared", str(comparison.rows))
    else:
        difference, compared = "largest layer difference", ("layers compared", str(check.layers))
    lost = report.lost.in_words()
    reporter.table(
        "Merged model",
        ("", "result"),
        [
            ("output", report.output),
            *head,
            ("number type", report.dtype),
            (difference, f"{comparison.max_abs_difference:.3g}"),
            ("compared with", beside),
            ("accepted", f"{comparison.tolerance:.3g}"),
            compared,
            *([("share of the update lost by the cast", lost)] if lost else []),
        ],
    )
