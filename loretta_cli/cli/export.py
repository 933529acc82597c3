"""``loretta export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loretta_cli.cli import completion, options
from loretta_cli.cli.next_steps import card_of
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers
from loretta_cli.errors import ConfigError

EPILOG = options.examples(
    "loretta export runs/sst2-rep-minilm --format lora --output my-lora",
    "loretta export runs/sst2-rep-smollm2 --format gguf-lora --base-gguf smollm2-f32.gguf",
    "loretta export runs/sst2-rep-smollm2 --format gguf --type q8_0",
    "loretta export runs/sst2-adp-minilm --format onnx",
)


def export(
    run: options.Run,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="F",
            help="lora: rep as a PEFT LoRA. gguf-lora: rep or lora as a LoRA of llama.cpp. gguf: the merged "
            "model for llama.cpp. onnx: the whole model. adapter: adp as dense matrices. tt: the bare cores "
            "of adp or rep.",
            autocompletion=completion.formats,
        ),
    ] = None,
    number_type: Annotated[
        str | None, typer.Option("--type", metavar="T", help="Of gguf: f32, f16 (default) or q8_0.")
    ] = None,
    base_gguf: Annotated[
        Path | None,
        typer.Option("--base-gguf", metavar="FILE", help="Of gguf-lora: the base in GGUF, to check on."),
    ] = None,
    output: options.Output = None,
    data: options.Data = None,
    base: options.Base = None,
    trust_remote_code: options.RemoteCode = False,
    json: options.Json = False,
) -> None:
    """Write a run's adapter in a format that others load, and check it there."""
    with command(json=json) as reporter:
        from loretta_cli.artifacts.export import FORMATS, ExportRequest, check_request
        from loretta_cli.artifacts.run_folder import find_run
        from loretta_cli.cli.early import check_places

        if format is None:
            raise ConfigError(
                "No format is given.",
                hint=f"Add --format F: {', '.join(FORMATS)}; loretta export --help says what each is.",
            )
        check_request(format, number_type, base_gguf)
        found = find_run(run, base=base).last_stage
        check_remote_code(found.read_config(), trusted=trust_remote_code)
        request = ExportRequest(found, output or run / format, data, number_type, base_gguf)
        check_places(found, data=data, output=request.output)
        quiet_transformers()
        report = FORMATS.get(format)(request, reporter)
        rows = [
            ("output", report.output),
            ("check", report.check.in_words()),
            *(
                (name.replace("_", " "), ", ".join(value) if isinstance(value, list) else str(value))
                for name, value in report.details.items()
                if value is not None
            ),
        ]
        reporter.table(f"Export as {report.format}", ("", "result"), rows)
        reporter.line(card_of(Path(report.output)))
        reporter.result(report.as_json())
