"""Templates that the user writes: ``{column}`` is what a column holds; ``{{`` and ``}}`` are braces.

A name in braces is looked up among the columns and nothing else: no attributes, indexes or formats, so that a
recipe from elsewhere reaches the texts of the rows only. Imports :mod:`errors` and :mod:`registry` only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from loretta_cli.errors import ConfigError
from loretta_cli.registry import suggest

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]+)\}|(?P<wrong>\{\}|[{}])")


@dataclass(frozen=True, slots=True)
class Template:
    """A template.

    Args:
        key: The setting that it was given in, for messages.
        pieces: Literal texts, and column names; a piece is ``(text, is a column)``.
    """

    key: str
    pieces: tuple[tuple[str, bool], ...]

    @classmethod
    def parse(cls, key: str, text: str) -> Template:
        """Read a template.

        Raises:
            ConfigError: If a brace stands alone or empty.
        """
        pieces: list[tuple[str, bool]] = []
        end = 0
        for match in _PIECE.finditer(text):
            if match["wrong"]:
                raise ConfigError(
                    f"{key}: {match['wrong']!r} at character {match.start() + 1} names no column.",
                    hint="Write {column} for what a column holds, and {{ or }} for a brace.",
                )
            pieces.append((text[end : match.start()], False))
            pieces.append((match["name"], True) if match["name"] else (match.group()[0], False))
            end = match.end()
        pieces.append((text[end:], False))
        return cls(key, tuple(piece for piece in pieces if piece[0]))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names, each once, in order."""
        return tuple(dict.fromkeys(text for text, is_column in self.pieces if is_column))

    @property
    def ends_with_space(self) -> bool:
        """Whether its last character is white space, so that what follows needs none."""
        text, is_column = self.pieces[-1]
        return not is_column and text[-1].isspace()

    def check(self, known: Collection[str]) -> None:
        """Refuse a template that names no column, or one that there is not.

        Args:
            known: All columns that it may name.

        Raises:
            ConfigError: With the nearest column and all columns.
        """
        if not self.columns:
            raise ConfigError(
                f"{self.key} names no column, so all rows would be the same.",
                hint=f"Put {{{min(known, default='text')}}} where the text of a row goes. "
                + suggest("", known, plural="columns"),
            )
        for column in self.columns:
            if column not in known:
                raise ConfigError(
                    f"{self.key} names the column {column!r}, which the rows do not have.",
                    hint=suggest(column, known, plural="columns"),
                )

    def render(self, texts: Mapping[str, str]) -> str:
        """The template with the texts of a row."""
        return "".join(texts[text] if is_column else text for text, is_column in self.pieces)
