"""What a person or a program sees: one protocol, four implementations, and the curves picture.

Results go to stdout; progress, notes, warnings and errors go to stderr. The rest of the library talks
to a :class:`Reporter` and never prints. Importing this package loads neither rich nor matplotlib.
May import :mod:`errors` and :mod:`replacing` only.
"""

from __future__ import annotations

import os
import sys

from loretta_cli.report.protocol import Reporter
from loretta_cli.report.silent import SilentReporter

__all__ = ["Reporter", "SilentReporter", "make_reporter"]

# rich draws no live display on these either.
_TERMINALS_WITHOUT_CURSOR = {"dumb", "unknown"}


def make_reporter(*, json: bool, lines: bool = False) -> Reporter:
    """Choose the reporter that fits the flags and the terminal.

    Args:
        json: Whether stdout must hold exactly one JSON document.
        lines: Whether it holds one for each result instead, a line each.

    Returns:
        The JSON reporter if asked for; the rich console if stderr is a terminal that can move its
        cursor, unless ``TTY_INTERACTIVE`` or ``TTY_COMPATIBLE`` is 0 or ``CI`` is set; plain lines
        otherwise (pipes, log files, CI).
    """
    if json:
        from loretta_cli.report.document import JsonReporter

        return JsonReporter(lines=lines)
    if _stderr_is_interactive():
        from loretta_cli.report.console import ConsoleReporter

        return ConsoleReporter()
    from loretta_cli.report.plain import PlainReporter

    return PlainReporter()


def _stderr_is_interactive() -> bool:
    """Whether a progress bar can be redrawn in place on stderr."""
    return (
        sys.stderr.isatty()
        and os.environ.get("TERM", "").lower() not in _TERMINALS_WITHOUT_CURSOR
        and "0" not in (os.environ.get("TTY_INTERACTIVE"), os.environ.get("TTY_COMPATIBLE"))
        # Some services give a job a terminal, and keep every redrawing of it.
        and os.environ.get("CI", "").lower() in ("", "0", "false")
    )
