"""What surrounds every command: the reporter, errors to sentences and exit codes, a quiet third party."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from loretta_cli.errors import ConfigError, LorettaError
from loretta_cli.report import Reporter, make_reporter

if TYPE_CHECKING:
    from loretta_cli.config import Config

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


def check_remote_code(config: Config, *, trusted: bool) -> None:
    """Refuse to run a model's own code unless this very command was told to.

    A recipe or a run folder may come from someone else; neither can switch it on.

    Raises:
        ConfigError: If the settings ask for it and the command line does not.
    """
    if config.model.trust_remote_code and not trusted:
        raise ConfigError(
            "model.trust_remote_code is set in a file, and a file cannot switch on code of strangers.",
            hint="If you trust the model's code, add --trust-remote-code.",
        )


def _quiet() -> None:
    """Keep other packages' warnings and bars off the screen, unless Python was asked for warnings."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def quiet_transformers() -> None:
    """Turn off transformers' own progress bars; call it once torch is imported anyway."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
