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

from loretta_cli.errors import ConfigError, Interrupted, LorettaError
from loretta_cli.processes import Processes, may_tell_of_failure, processes
from loretta_cli.refused_memory import is_out_of_memory, refused
from loretta_cli.report import Reporter, make_reporter
from loretta_cli.report.follower import FollowerReporter

if TYPE_CHECKING:
    from loretta_cli.config import Config

INTERRUPTED = 130
LESS_MEMORY = (
    "Give it a machine with more memory, a smaller model, half precision (--set model.dtype=bfloat16) or a "
    "smaller batch; loretta train ... --dry-run says what a training takes."
)


@contextlib.contextmanager
def command(*, json: bool, together: bool = False, lines: bool = False) -> Iterator[Reporter]:
    """Run a command's body with its reporter.

    Args:
        json: Whether stdout holds one JSON document.
        together: Whether several processes share the work; if not, the first does it, the others end here.
        lines: With ``json``, whether stdout holds a document for each result, a line each.

    Raises:
        typer.Exit: With the exit code of the error; with 0 on a process that has nothing to do.
    """
    _quiet()
    reporter, mine = make_reporter(json=json, lines=lines), Processes()
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
            said = interruption if isinstance(interruption, Interrupted) else Interrupted()
            reporter.failure(LorettaError(said.message, hint=said.hint))
        raise typer.Exit(INTERRUPTED) from None
    except RecursionError as error:
        reporter.failure(LorettaError(f"A value is nested too deeply: {error}."))
        raise typer.Exit(1) from None
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        reporter.failure(LorettaError(f"Out of memory: {refused(error)}.", hint=LESS_MEMORY))
        raise typer.Exit(1) from None


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Have SIGTERM, and SIGHUP unless it is ignored, end the work as Ctrl+C does: in words, exit code 130."""
    import signal
    import threading

    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
        before = {number: signal.getsignal(number) or signal.SIG_DFL for number in numbers}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
