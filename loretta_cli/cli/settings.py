"""``loretta settings``: every setting that ``--set`` and recipes take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from loretta_cli.cli import options
from loretta_cli.cli.shell import command
from loretta_cli.errors import ConfigError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

EPILOG = options.examples(
    "loretta settings training",
    "loretta settings zo.queries",
    "loretta settings learning --json",
)


def settings(
    word: Annotated[
        str | None,
        typer.Argument(metavar="[WORD]", help="A section, a key, or a word of what a setting is for."),
    ] = None,
    json: options.Json = False,
) -> None:
    """List the settings that --set and recipes take, with their values and defaults."""
    with command(json=json) as reporter:
        from loretta_cli.config import setting_fields, settings_called

        fields = setting_fields()
        found = [key for key in fields if word is None or _is_meant(key, fields[key], word)]
        if not found:
            found = settings_called((word or "").replace("-", "_").rpartition(".")[2])
        if not found:
            raise ConfigError(
                f"No setting has {word!r} in its key or description.", hint="loretta settings lists all."
            )
        facts = {key: _facts(fields[key]) for key in found}
        for section in dict.fromkeys(key.partition(".")[0] for key in found):
            rows = [
                (key, _default(fact["default"]), f"{fact['about']} Takes {fact['takes']}.")
                for key, fact in facts.items()
                if key.partition(".")[0] == section
            ]
            reporter.table("", ("setting", "default", "what it is"), rows)
        if json:
            reporter.result({"settings": [{"key": key, **fact} for key, fact in facts.items()]})


def _is_meant(key: str, field: FieldInfo, word: str) -> bool:
    """Whether a word is a setting's key, a section it is in, or in its key or description."""
    from loretta_cli.config import section_keys

    asked = word.lower().rstrip(".")
    if "." in asked or asked in section_keys():
        return f"{key}.".startswith(f"{asked}.")
    return asked in key or asked in (field.description or "").lower()


def _facts(field: FieldInfo) -> dict[str, Any]:
    from loretta_cli.config import expected

    return {"default": field.default, "takes": expected(field), "about": field.description or ""}


def _default(value: object) -> str:
    from loretta_cli.config import shown

    return "unset" if value is None else str(value) if isinstance(value, str) else shown(value)
