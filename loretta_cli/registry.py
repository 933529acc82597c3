"""A lazy name-to-object registry: listing the names imports nothing.

A room (tasks, families, methods, formats) makes one :class:`Registry`; each entry names its target
as ``"module:attribute"`` and is imported when it is first asked for. Imports only :mod:`errors`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar, cast

from loretta_cli.errors import ConfigError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names mapped to objects that are imported on first use.

    Args:
        kind: What an entry is, in the singular, as error messages say it ("task").
        targets: Name to ``"module:attribute"``.
    """

    def __init__(self, kind: str, targets: dict[str, str] | None = None) -> None:
        self.kind = kind
        self._targets: dict[str, str] = dict(targets or {})

    def add(self, name: str, target: str) -> None:
        """Register ``name``.

        Raises:
            ConfigError: If the name is taken by another target.
        """
        known = self._targets.setdefault(name, target)
        if known != target:
            raise ConfigError(f"The {self.kind} {name!r} is registered twice: {known} and {target}.")

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._targets)

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def check(self, name: str) -> None:
        """Refuse an unknown name, without importing anything.

        Raises:
            ConfigError: With the nearest names.
        """
        if name not in self._targets:
            raise ConfigError(
                f"Unknown {self.kind} {name!r}.", hint=suggest(name, self._targets, plural=f"{self.kind}s")
            )

    def get(self, name: str) -> T:
        """The object registered as ``name``.

        Raises:
            ConfigError: If there is none, with the nearest names.
        """
        self.check(name)
        module, _, attribute = self._targets[name].partition(":")
        return cast("T", getattr(importlib.import_module(module), attribute))


def suggest(name: str, known: Iterable[str], *, plural: str) -> str:
    """A hint for a name that is not known: the nearest one, then all of them (at most twenty)."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    question = f"Did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(choices[:20]) + (", …" if len(choices) > 20 else "")
    return f"{question}Known {plural}: {listed}."
