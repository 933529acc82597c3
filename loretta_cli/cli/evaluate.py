"""``loretta eval``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from loretta_cli.cli import completion, options
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers
from loretta_cli.errors import ConfigError
from loretta_cli.numerals import counted

EPILOG = options.examples(
    "loretta eval runs/sst2-rep-minilm",
    "loretta eval runs/my-run --data test.csv",
    "loretta eval runs/my-run --checkpoint last",
    "loretta eval --model ./smollm2 --task sst2 --data data/sst2 --rows 200",
)


_READ = ("training.evaluation_batch_size", "training.seed")
"""Settings outside of model, task and data that count for a model as it is."""


def evaluate(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]", help="A run folder written by `loretta train`.", autocompletion=completion.runs
        ),
    ] = None,
    model: options.Model = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task", "-t", metavar="T", help="With --model: the task.", autocompletion=completion.tasks
        ),
    ] = None,
    data: options.Data = None,
    split: Annotated[
        str, typer.Option("--split", metavar="S", help="train, validation, validation_mismatched or test.")
    ] = "validation",
    rows: Annotated[
        int | None, typer.Option("--rows", metavar="N", min=1, help="Evaluate at most N rows.")
    ] = None,
    checkpoint: options.Checkpoint = None,
    base: options.Base = None,
    overrides: options.Overrides = None,
    trust_remote_code: options.RemoteCode = False,
    json: options.Json = False,
) -> None:
    """Evaluate a run, or a model as it is, on a split."""
    with command(json=json, together=True) as reporter:
        if (run is None) == (model is None):
            raise ConfigError(
                "eval takes a run folder or --model, one of them.", hint="See loretta eval --help."
            )
        _check_flags(
            of_run={"--base": base, "--checkpoint": checkpoint} if run is None else {},
            of_model={"--task": task, "--set": overrides} if run is not None else {},
        )
        if run is not None:
            from loretta_cli.artifacts.adapter_choice import find_adapter
            from loretta_cli.cli.early import check_places

            found, adapter = find_adapter(run, checkpoint, base=base)
            check_remote_code(found.read_config(), trusted=trust_remote_code)
            check_places(found, data=data)
            quiet_transformers()
            from loretta_cli.evaluation.run import evaluate_run
            from loretta_cli.evaluation.stages import evaluate_stages

            if found.stages:
                results = evaluate_stages(found, data=data, split=split, rows=rows)
            else:
                asked = evaluate_run(
                    found, data=data, split=split, rows=rows, adapter=adapter, note=reporter.note
                )
                results = [asked]
        else:
            from loretta_cli.cli.early import check_sources
            from loretta_cli.config import load_config
            from loretta_cli.tasks import check_task

            if not task or len(task) > 1:
                raise ConfigError(
                    f"--model needs one --task, found {len(task or ())}.",
                    hint="Add --task NAME, such as sst2, or classification with --data FILE.",
                )
            flags = {
                "model.name": model,
                "task.name": task[0],
                "data.source": data,
                "model.trust_remote_code": trust_remote_code or None,
            }
            loaded = load_config(None, flags, overrides or ())
            _check_read(loaded.origins)
            check_remote_code(loaded.config, trusted=trust_remote_code)
            check_task(task[0])
            check_sources(loaded.config)
            quiet_transformers()
            from loretta_cli.evaluation.run import evaluate_model

            results = [evaluate_model(loaded.config, split=split, rows=rows)]
        for result in results:
            reporter.table(
                f"{result.task}, {result.split} split, {counted(result.rows, 'row')}",
                ("metric", "value"),
                [(name, f"{value:.4f}") for name, value in result.metrics.items()],
            )
            if result.shortened:
                of = f"of {counted(result.rows, 'row')}"
                was, were = (f"{of} {verb} too long and {verb} truncated" for verb in ("was", "were"))
                reporter.note(counted(result.shortened, was, were))
            if result.ties:
                of = f"of {counted(result.rows, 'row')}"
                reporter.note(f"in {result.ties} {of} the two best options have one score")
        reporter.result({"results": [result.as_json() for result in results]})


_OF_RUN = "{} is for a run that is evaluated."
_OF_MODEL = {
    "--task": "A run is evaluated on its own tasks; --task is for --model.",
    "--set": "A run is evaluated with its own settings; --set is for --model.",
}


def _check_flags(*, of_run: Mapping[str, object], of_model: Mapping[str, object]) -> None:
    """Refuse the flags of a run where a model is evaluated, and the other way round.

    Args:
        of_run: Flags that are for a run, and are not allowed.
        of_model: Flags that are for a model, and are not allowed.

    Raises:
        ConfigError: Naming the first that is given.
    """
    for name, value in of_run.items():
        if value is not None:
            raise ConfigError(_OF_RUN.format(name), hint=f"Drop {name}, or evaluate a run folder.")
    for name, value in of_model.items():
        if value:
            raise ConfigError(_OF_MODEL[name], hint=f"Drop {name}, or use --model.")


def _check_read(given: Iterable[str]) -> None:
    """Refuse settings of a training, which an evaluation of a model as it is does not read.

    Raises:
        ConfigError: Naming the first.
    """
    for key in given:
        if key in _READ or key.partition(".")[0] in ("model", "task", "data"):
            continue
        raise ConfigError(f"eval does not read {key}: it is a setting of a training.", hint="Leave it out.")
