"""What surrounds every command: the reporter, errors to sentences and exit codes, a quiet third party."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator

import typer

from loretta_cli.errors import LorettaError
from loretta_cli.report import Reporter, make_reporter

INTERRUPTED = 130


@contextlib.contextmanager
def command(*, json: bool, on_interrupt: str = "") -> Iterator[Reporter]:
    """Run a command's body with its reporter.

    Args:
        json: Whether stdout holds one JSON document.
        on_interrupt: What to say after Ctrl+C.

    Raises:
        typer.Exit: With the exit code of the error.
    """
    _quiet()
    reporter = make_reporter(json=json)
    try:
        yield reporter
    except LorettaError as error:
        reporter.failure(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        reporter.failure(LorettaError("Interrupted.", hint=on_interrupt))
        raise typer.Exit(INTERRUPTED) from None
    except RecursionError as error:
        reporter.failure(LorettaError(f"A value is nested too deeply: {error}."))
        raise typer.Exit(1) from None


def _quiet() -> None:
    """Keep other packages' warnings and bars off the screen, unless Python was asked for warnings."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def quiet_transformers() -> None:
    """Turn off transformers' own progress bars; call it once torch is imported anyway."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
