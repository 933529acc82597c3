"""What surrounds every command: the reporter, errors to sentences and exit codes, a quiet third party."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from loretta_cli.errors import ConfigError, LorettaError
from loretta_cli.processes import Processes, may_tell_of_failure, processes
from loretta_cli.report import Reporter, make_reporter
from loretta_cli.report.follower import FollowerReporter

if TYPE_CHECKING:
    from loretta_cli.config import Config

INTERRUPTED = 130


@contextlib.contextmanager
def command(*, json: bool, together: bool = False) -> Iterator[Reporter]:
    """Run a command's body with its reporter.

    What a ``KeyboardInterrupt`` says is the hint after Ctrl+C.

    Args:
        json: Whether stdout holds one JSON document.
        together: Whether several processes share the work; if not, the first does it, the others end here.

    Raises:
        typer.Exit: With the exit code of the error; with 0 on a process that has nothing to do.
    """
    _quiet()
    reporter, mine = make_reporter(json=json), Processes()
    try:
        mine = processes()
        if mine.count > 1:
            if not (together or mine.is_first):
                raise typer.Exit
            if not together:
                reporter.note("one process does this; the others have nothing to do")
            if not mine.is_first:
                place = f"Process {mine.rank} of {mine.count}"
                reporter = FollowerReporter(reporter, may_tell=may_tell_of_failure, place=place)
        yield reporter
    except LorettaError as error:
        if mine.count == 1 or not mine.is_first or may_tell_of_failure():
            reporter.failure(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt as interruption:
        if mine.is_first:
            reporter.failure(LorettaError("Interrupted.", hint=str(interruption)))
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
    # PEFT imports it wherever it is installed; it then warns of a missing kernel, and of every int8 product.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def quiet_transformers() -> None:
    """Turn off transformers' own progress bars; call it once torch is imported anyway."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
