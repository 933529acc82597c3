"""Running ``loretta`` inside the test process, and the small inputs that its tests share.

Imports no pytest and, at its top, nothing heavy.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended.

    Args:
        exit_code: Of the process.
        stdout: What it wrote there.
        stderr: What it wrote there.
    """

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; fails where there is none, or anything beside it."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document


@contextlib.contextmanager
def _as_process(arguments: Sequence[str], cwd: Path | None) -> Iterator[None]:
    """Command line, working directory and warnings as a process of its own would have them."""
    argv, options, here = sys.argv, sys.warnoptions, Path.cwd()
    sys.argv = ["loretta", *arguments]
    # As with `python -W error`: the command line then leaves the warnings on, and pytest's filters rule.
    sys.warnoptions = ["error"]
    try:
        if cwd is not None:
            os.chdir(cwd)
        yield
    finally:
        sys.argv, sys.warnoptions = argv, options
        os.chdir(here)


def loretta(*arguments: object, cwd: Path | None = None) -> Outcome:
    """Run a command through the entry point, in this process.

    Args:
        arguments: Of the command line; paths are written out.
        cwd: The working directory; the present one if None.
    """
    from loretta_cli.cli.app import main

    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with (
        _as_process([str(argument) for argument in arguments], cwd),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return Outcome(code, stdout.getvalue(), stderr.getvalue())


def parsed(line: str) -> tuple[str, dict[str, object]]:
    """The verb of a line ``loretta …`` and its parameters; fails as the real parser would."""
    import typer

    from loretta_cli.cli.app import app

    group = typer.main.get_command(app)
    words = shlex.split(line)
    context = group.make_context(words[0], words[1:])
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    return name, command.make_context(name, rest, parent=context).params


def python(script: str, *arguments: object, cwd: Path | None = None, blocked: Sequence[str] = ()) -> str:
    """Run a script in a fresh interpreter; returns its stdout.

    Args:
        script: Python.
        arguments: ``sys.argv[1:]`` of it.
        cwd: The working directory.
        blocked: Top-level packages that it cannot import.
    """
    stops = "".join(f"import sys; sys.modules[{name!r}] = None\n" for name in blocked)
    done = subprocess.run(
        [sys.executable, "-c", stops + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        env=child_environment(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def child_environment() -> dict[str, str]:
    """The environment of a child process: this checkout on the path, offline, one thread."""
    return {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "OMP_NUM_THREADS": "1",
    }


def write_sentences(folder: Path, *, train: int = 24, validation: int = 10) -> Path:
    """Write a data folder in the columns of sst2: ``train.jsonl`` and ``validation.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [sentence(number) for number in range(train + validation)]
    lines = [json.dumps({"sentence": text, "label": label}) for text, label in rows[:train]]
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = ["sentence,label", *(f"{text},{label}" for text, label in rows[train:])]
    (folder / "validation.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_labelled(file: Path, *, rows: int = 30) -> Path:
    """Write a CSV of the user's own, ``message`` and ``mood`` of three labels."""
    moods = ("angry", "calm", "glad")
    lines = [f"{sentence(number)[0]},{moods[number % 3]}" for number in range(rows)]
    file.write_text("\n".join(["message,mood", *lines]) + "\n", encoding="utf-8")
    return file


def sentence(number: int) -> tuple[str, int]:
    """A sentence of its own for each number, and its label; lengths vary."""
    subjects = ("film", "story", "plot", "movie", "day", "house", "river")
    good, bad = ("great", "good", "fun", "happy", "warm"), ("terrible", "bad", "boring", "sad", "ugly")
    label = (number * 7 // 3) % 2
    words = good if label else bad
    tail = " and the water is blue" * (number % 3)
    return f"the {subjects[number % 7]} was very {words[number % 5]}{tail}", label


def metric_records(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's ``metrics.jsonl``."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def files_below(folder: Path) -> list[str]:
    """Every file and folder below, as relative paths, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
