"""``loretta predict``: ask a run, text by text or a whole file."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loretta_cli.cli import completion, options
from loretta_cli.cli.predict_screen import Screen, note_shortened
from loretta_cli.cli.shell import check_remote_code, command, quiet_transformers
from loretta_cli.cli.typed_rows import TypedRows
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.numerals import counted
from loretta_cli.report import Reporter

if TYPE_CHECKING:
    from loretta_cli.evaluation.predict import Predictor
    from loretta_cli.evaluation.prediction_rows import Asked, Questions

EPILOG = options.examples(
    'loretta predict runs/my-run "a warm and funny film"',
    "loretta predict runs/my-run --input reviews.csv --column body --output answers.csv",
    "loretta predict runs/my-run --input questions.jsonl --json",
    "tail -f messages.txt | loretta predict runs/my-run",
)
SECONDS_BETWEEN_NOTES = 10.0


def predict(
    run: options.Run,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Texts, or rows as JSON. Unset, the lines of stdin."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="TEXT", help="The same, for a text that begins with a dash."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="Rows: .csv, .tsv, .jsonl or .parquet; or .txt, one text a line.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="[C=]NAME",
            help="Column with the text; C is the task's name of it, where there are several.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write .csv or .jsonl: the rows with answers."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file in --output.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Only the first N rows.")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="N",
            min=1,
            help="Rows at once. Unset, as the run's evaluations; of stdin 1.",
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option("--max-new-tokens", metavar="N", min=1, help="Longest text, of runs that write."),
    ] = None,
    checkpoint: options.Checkpoint = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            "-t",
            metavar="T",
            help="Of a run of several tasks, which one.",
            autocompletion=completion.tasks,
        ),
    ] = None,
    base: options.Base = None,
    trust_remote_code: options.RemoteCode = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a row, each on a line; of --output, one.")
    ] = False,
) -> None:
    """Ask a run for labels with probabilities, scores or texts, for rows without an answer.

    At a terminal, type one text after the other; Ctrl+D ends.

    A probability is the softmax of the scores that the run chooses by.
    """
    with command(json=json, lines=output is None) as reporter:
        given = [*(texts or ()), *(text or ())]
        if given and source is not None:
            raise ConfigError("Texts are given and --input, too.", hint="Leave one of them out.")
        if texts and len(texts) == 1 and not text:
            _refuse_file(texts[0])
        if overwrite and output is None:
            raise ConfigError("--overwrite needs --output, the file to replace.")
        from loretta_cli.cli.early import check_places
        from loretta_cli.evaluation.asked_run import find_asked
        from loretta_cli.evaluation.prediction_files import check_file
        from loretta_cli.evaluation.prediction_rows import Questions

        asked = find_asked(run, checkpoint=checkpoint, task=task, base=base, max_new_tokens=max_new_tokens)
        check_remote_code(asked.config, trusted=trust_remote_code)
        check_places(asked.run)
        questions = Questions(asked.task, column or ())
        if output is not None:
            check_file(output, overwrite=overwrite, source=source)
        rows = _rows(questions, given, source, limit)
        quiet_transformers()
        from loretta_cli.evaluation.predict import load_predictor

        predictor = load_predictor(asked, note=reporter.note)
        if rows is None:
            rows = TypedRows(questions, is_chat=asked.is_chat, reporter=reporter, limit=limit)
        if output is not None:
            _write(predictor, list(rows), output, batch_size, reporter)
            return
        screen = Screen(predictor, asked, reporter, is_json=json)
        if isinstance(rows, TypedRows) or len(given) == 1:
            screen.one_by_one(rows)
        else:
            usual = predictor.batch_size if given or source is not None else 1
            screen.in_batches(rows, batch_size or usual)


def _refuse_file(text: str) -> None:
    """Refuse a text that is the name of a file: its rows are meant.

    Raises:
        ConfigError: With the flags of both.
    """
    suffixes = (".csv", ".tsv", ".jsonl", ".parquet", ".txt")
    if text.lower().endswith(suffixes) and Path(text).is_file():
        name = shlex.quote(text)
        raise ConfigError(
            f"The text {text!r} is the name of a file.",
            hint=f"Use --input {name} to ask its rows, or --text {name} to ask that very text.",
        )


def _rows(
    questions: Questions, given: Sequence[str], source: Path | None, limit: int | None
) -> Iterable[Asked] | None:
    """The rows that are asked for; None where they are typed at a terminal.

    Raises:
        DataError: If there are none.
    """
    if source is not None:
        return questions.of_file(source)[:limit]
    if given:
        return [
            questions.of_text(text, "the texts given", place) for place, text in enumerate(given[:limit], 1)
        ]
    if sys.stdin is not None and sys.stdin.isatty():
        return None
    lines = questions.of_lines(sys.stdin.buffer if sys.stdin is not None else ())
    # The first one is waited for here: a fault in it is told before a model is loaded.
    first = next(lines, None)
    if first is None:
        raise DataError("No text is given: standard input is empty.", hint="See loretta predict --help.")
    return islice(chain([first], lines), limit)


def _write(
    predictor: Predictor, rows: Sequence[Asked], output: Path, batch_size: int | None, reporter: Reporter
) -> None:
    """Answer all rows and write the file."""
    from loretta_cli.evaluation.prediction_files import write_answers

    told = _noting(len(rows), reporter)
    found = predictor.ask([example for _, example in rows], batch_size=batch_size, done=told)
    write_answers(output, [row for row, _ in rows], found.answers)
    note_shortened(found.shortened, len(rows), reporter)
    reporter.line(f"written: {output} ({counted(len(rows), 'row')})")
    reporter.result({"output": output, "rows": len(rows), "shortened": found.shortened})


def _noting(rows: int, reporter: Reporter) -> Callable[[int], None]:
    """Notes now and then how many rows are answered."""
    last = time.monotonic()

    def told(done: int) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN_NOTES:
            last = time.monotonic()
            reporter.note(f"{done:,} of {counted(rows, 'row')}")

    return told
