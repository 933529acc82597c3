"""The model that a count is about: its modules as written down, and how adapters find their layers in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loretta_cli.models.families import Family
from loretta_cli.models.outline import Facts, Form, ModuleOutline


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, its family and its modules.

    Args:
        family: The family.
        facts: The model's config.
        form: Which head it has.
        modules: Every module that has parameters of its own, in the model's order.
    """

    family: Family
    facts: Facts
    form: Form
    modules: Sequence[ModuleOutline]

    @property
    def total(self) -> int:
        """Numbers of the whole model."""
        return sum(module.parameters for module in self.modules)

    @property
    def head(self) -> int:
        """Numbers of the classification head; 0 for a language model."""
        return self.within(self.family.head.modules) if self.form == "classification" else 0

    def matching(self, names: Iterable[str]) -> list[ModuleOutline]:
        """The linear layers that PEFT finds for these names; empty if one of the names finds none.

        A layer of a classification head is trained whole, and not found.
        """
        suffixes = tuple(names)
        head = self.family.head.modules if self.form == "classification" else ()
        found = [
            entry
            for entry in self.modules
            if entry.kind == "linear" and matches(entry, suffixes) and not lies_in(entry, head)
        ]
        complete = all(any(matches(entry, (name,)) for entry in found) for name in suffixes)
        return found if complete else []

    def within(self, names: Sequence[str]) -> int:
        """Numbers of the modules at or under these names."""
        return sum(entry.parameters for entry in self.modules if lies_in(entry, names))


def lies_in(entry: ModuleOutline, names: Iterable[str]) -> bool:
    """Whether a module is one of these or stands in one."""
    return any(entry.name == name or entry.name.startswith(f"{name}.") for name in names)


def matches(entry: ModuleOutline, suffixes: Iterable[str]) -> bool:
    """Whether a module's name is one of these or ends in one behind a dot, as PEFT reads target names."""
    return any(entry.name == name or entry.name.endswith(f".{name}") for name in suffixes)
