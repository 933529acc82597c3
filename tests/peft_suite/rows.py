"""The rows of PEFT's test matrices: wherever PEFT has a row for VeRA, the same row for our two methods.

A row keeps its model, its targets, its ``modules_to_save`` and its dropout; settings that only VeRA has are
left out, so that our methods run with their defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peft import VeraConfig

from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig

STOCK = "vera"
METHODS: dict[str, type[Any]] = {STOCK: VeraConfig, "rep": LorettaRepConfig, "adp": LorettaAdpConfig}
NAMES = {config_class: name for name, config_class in METHODS.items()}

RENAMED = {"vera_dropout": "dropout"}
VERA_ONLY = {"r", "projection_prng_key", "d_initial", "save_projection"}

NO_VERA_ROW = {
    "test_multiple_adapters_mixed_modules_to_save",
    "test_multiple_adapters_mixed_modules_to_save_order_switched",
}
"""Tests over a list of config classes without VeRA that have nothing special to those classes."""


def our_rows(test: str, names: Sequence[str], rows: Sequence[Any]) -> list[tuple[Any, ...]] | None:
    """The rows to run in place of those that PEFT lists.

    Args:
        test: Name of the test function.
        names: Parameter names, with ``config_cls`` among them.
        rows: PEFT's rows; a value alone where there is one name.

    Returns:
        VeRA's rows, each followed by the same row of our methods; None if VeRA has none and the test is
        not one of :data:`NO_VERA_ROW`.
    """
    full = [tuple(row) if len(names) > 1 else (row,) for row in rows]
    position = names.index("config_cls")
    stock = [row for row in full if row[position] is VeraConfig]
    if not stock:
        ours = [config_class for name, config_class in METHODS.items() if name != STOCK]
        return [(config_class,) for config_class in ours] if test in NO_VERA_ROW and len(names) == 1 else None
    return [
        translated(row, names, method)
        for row in stock + _different_targets(stock, names)
        for method in METHODS
        if method != STOCK or row in stock
    ]


def translated(row: Sequence[Any], names: Sequence[str], method: str) -> tuple[Any, ...]:
    """A row of VeRA for another method."""
    if method == STOCK:
        return tuple(row)
    found = []
    for name, value in zip(names, row, strict=True):
        if name == "config_cls":
            found.append(METHODS[method])
        elif name.startswith("config_kwargs"):
            found.append({RENAMED.get(key, key): value[key] for key in value if key not in VERA_ONLY})
        elif name == "test_name":
            found.append(value.replace("VeRA", method))
        elif name == "tuner_method":
            found.append(method)
        else:
            found.append(value)
    return tuple(found)


def _different_targets(stock: Sequence[tuple[Any, ...]], names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Two adapters on different layers: PEFT has the row for all methods but those that share weights."""
    if "config_kwargs_2" not in names:
        return []
    position = names.index("config_kwargs_2")
    return [
        (
            *(
                value.replace("Same", "Different") if isinstance(value, str) else value
                for value in row[:position]
            ),
            {**row[position], "target_modules": ["lin1"]},
        )
        for row in stock
    ]
