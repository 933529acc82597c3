"""Options that are settings: ``--epochs 3`` is answered with ``--set training.epochs=3``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class SettingsCommand(TyperCommand):
    """A command with ``--set``, which tells who gives a setting as an option how it is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the command line, ``args``.

        Raises:
            UsageError: As the base class; with the setting that was meant.
        """
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # Typer carries a click of its own, or stands on the installed one: the class has no one place.
            name = getattr(error, "option_name", None)
            if isinstance(name, str) and hasattr(error, "possibilities"):
                _tell(error, name, given)
            raise


def _tell(error: Any, name: str, given: list[str]) -> None:
    """Put the settings that an unknown option may mean into the error of it."""
    from loretta_cli.config import settings_called

    found = settings_called(name.lstrip("-").replace("-", "_"), exactly=bool(error.possibilities))
    if not found:
        return
    value = _value(name, given)
    said = " or ".join(f"--set {setting}={value}" for setting in found)
    error.message = f"{error.message.rstrip('.')}; it is a setting: {said}"
    error.possibilities = None


def _value(name: str, given: list[str]) -> str:
    """What stands behind an option on the command line."""
    for place, one in enumerate(given):
        if one.startswith(f"{name}="):
            return one.partition("=")[2]
        if one == name and place + 1 < len(given) and not given[place + 1].startswith("--"):
            return given[place + 1]
    return "VALUE"
