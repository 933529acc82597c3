"""Which modules an adapter sits on, like ones together, so that a partial match is seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer, _get_in_out_features
from peft.utils import ModulesToSaveWrapper

from loretta_cli.tuners.selected import SelectedParameter


@dataclass(frozen=True, slots=True)
class Matched:
    """Modules that differ in nothing but their number.

    Args:
        pattern: Their names, with the numbers in braces: ``encoder.layer.{0..5}.attention.self.query``.
        shape: ``in x out`` of a linear layer; empty for others.
        adapted: How many have an adapter, or train whole.
        of: How many there are in the model.
        how: ``adapter``, or ``trained whole``.
    """

    pattern: str
    shape: str
    adapted: int
    of: int
    how: str

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def matched_modules(model: Any) -> list[Matched]:
    """Find the modules that an adapter sits on, and those that are trained whole.

    Args:
        model: A PEFT model.
    """
    prefix = "base_model.model."
    names = {_plain(name.removeprefix(prefix)) for name, _ in model.named_modules()}
    groups: dict[tuple[str, str, str], list[tuple[int, ...]]] = {}
    for full_name, module in model.named_modules():
        name = full_name.removeprefix(prefix)
        if isinstance(module, ModulesToSaveWrapper):
            how, shape = "trained whole", ""
        elif isinstance(module, BaseTunerLayer) and not isinstance(module, SelectedParameter):
            how, shape = "adapter", _shape(module)
        else:
            continue
        key = (re.sub(r"(?<=\.)\d+(?=\.|$)", "#", _plain(name)), shape, how)
        groups.setdefault(key, []).append(tuple(map(int, re.findall(r"(?<=\.)\d+(?=\.|$)", name))))
    found = []
    for (pattern, shape, how), places in groups.items():
        alike = re.compile(re.escape(pattern).replace(r"\#", r"\d+") + "$")
        of = sum(bool(alike.match(name)) for name in names)
        found.append(Matched(_with_numbers(pattern, places), shape, len(places), of, how))
    return found


def _plain(name: str) -> str:
    """The name that a module has in the base model."""
    return re.sub(r"\.(base_layer|original_module)(?=\.|$)", "", name)


def _shape(module: Any) -> str:
    sizes = _get_in_out_features(module.get_base_layer())
    return f"{sizes[0]}x{sizes[1]}" if None not in sizes else ""


def _with_numbers(pattern: str, places: Iterable[tuple[int, ...]]) -> str:
    """The pattern with the numbers that each of its places takes."""
    columns = [sorted(set(column)) for column in zip(*places, strict=True)]
    for column in columns:
        pattern = pattern.replace("#", "{" + _ranges(column) + "}" if len(column) > 1 else str(column[0]), 1)
    return pattern


def _ranges(numbers: list[int]) -> str:
    """Ascending numbers in short: ``0..5``, or ``0..2,7``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{part[0]}..{part[-1]}" if len(part) > 2 else ",".join(map(str, part)) for part in parts)


def missing_of(matched: Iterable[Matched]) -> Mapping[str, int]:
    """Patterns of which some modules have no adapter, with how many."""
    return {one.pattern: one.of - one.adapted for one in matched if one.adapted < one.of}
