"""What ``loretta merge`` may be told; imports no torch, so that a wrong word is refused at once."""

from __future__ import annotations

from collections.abc import Sequence

from loretta_cli.errors import ConfigError
from loretta_cli.registry import suggest

DTYPES = ("float32", "bfloat16", "float16")
"""Number types that a merged model may be written in."""
CHECKS = ("logits", "layers")
"""Ways to verify one."""


def check_choice(option: str, value: str | None, choices: Sequence[str]) -> None:
    """Refuse a value that an option does not have; None stands for no choice.

    Raises:
        ConfigError: With the nearest one.
    """
    if value is not None and value not in choices:
        *first, last = choices
        raise ConfigError(
            f"{option} is {value!r}; expected {', '.join(first)} or {last}.",
            hint=suggest(value, choices, plural="values"),
        )
