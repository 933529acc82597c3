"""Which tensor of a base checkpoint is which parameter of the model, and what the merged files hold.

Names are translated by transformers' own rules. The merged model keeps the names of the checkpoint, with the
prefix that its own class writes: a checkpoint of a bare encoder has none, one of a classifier has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    build_glob_alternation,
    rename_source_key,
)

from loretta_cli.artifacts.merging import NotStreamable
from loretta_cli.artifacts.merging.checkpoint import Checkpoint
from loretta_cli.artifacts.merging.updates import Adapted
from loretta_cli.errors import ModelError


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor of the merged model.

    Args:
        name: Its name in the merged files.
        parameter: Its name in the model.
        source: Its name in the base checkpoint; None if that has none.
        shape: Its shape.
        dtype: Its number type in the merged files.
    """

    name: str
    parameter: str
    source: str | None
    shape: tuple[int, ...]
    dtype: torch.dtype


def merged_files(base: Checkpoint, adapted: Adapted, dtype: torch.dtype | None) -> list[list[Entry]]:
    """What each file of the merged model holds: that of the base's, new tensors in the last one.

    Args:
        base: The base model's files.
        adapted: What becomes of its tensors.
        dtype: Of every floating-point tensor; None keeps them as they are stored.

    Raises:
        NotStreamable: If a tensor that changes is not one tensor of the files.
        ModelError: If the files do not fit the model's config.
    """
    translate = _Names(adapted)
    entries: dict[str, Entry] = {}
    for source, stored in base.tensors.items():
        found = translate(source)
        if found is None:
            continue
        name, parameter, is_whole = found
        if is_whole:
            _check_shape(base.name, adapted, source, parameter, stored.shape)
        kept = stored.dtype if dtype is None or not stored.dtype.is_floating_point else dtype
        entries[source] = Entry(name, parameter, source, stored.shape, translate.held_in(parameter, kept))
        if parameter in adapted.replacements:
            value = adapted.replacements[parameter]
            entries[source] = Entry(name, parameter, source, tuple(value.shape), entries[source].dtype)
    covered = {entry.parameter for entry in entries.values()}
    new = [
        Entry(name, name, None, tuple(value.shape), translate.held_in(name, dtype or base.dtype))
        for name, value in adapted.replacements.items()
        if name not in covered
    ]
    _check_complete(adapted, covered | {entry.name for entry in new})
    files = [
        [entry for key, entry in entries.items() if base.tensors[key].file == file] for file in base.files
    ]
    files[-1] += new
    return [file for file in files if file]


def _check_shape(name: str, adapted: Adapted, source: str, parameter: str, found: tuple[int, ...]) -> None:
    expected = adapted.shapes[parameter]
    if found != expected and parameter not in adapted.replacements:
        raise ModelError(
            f"The weights of {name} do not fit its config.json: {source} is {_sizes(found)}, expected "
            f"{_sizes(expected)}.",
            hint="Give the config.json that was saved with these weights.",
        )


def _check_complete(adapted: Adapted, covered: set[str]) -> None:
    """Every parameter comes from somewhere, and what is updated from a tensor of the base."""
    for names in adapted.tied.values():
        if not covered.intersection(names):
            raise NotStreamable(f"the base model's files have no tensor {names[0]}")
    for name in adapted.updates:
        if name not in covered:
            raise NotStreamable(f"the base model's files have no tensor {name}")


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"


class _Names:
    """From names in the files to names in the model, as ``from_pretrained`` has them.

    Args:
        adapted: The model.
    """

    def __init__(self, adapted: Adapted) -> None:
        self._adapted = adapted
        rules = get_model_conversion_mapping(adapted.model)
        self._renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
        self._converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
        self._prefix: str = adapted.model.base_model_prefix
        self._held: dict[torch.dtype, Any] = {
            dtype: self._kept_wide(dtype) for dtype in (torch.float16, torch.bfloat16)
        }

    def __call__(self, source: str) -> tuple[str, str, bool] | None:
        """The name to write, the parameter, and whether it is one tensor; None if the model has none.

        Raises:
            NotStreamable: If a change is to be made to what only a conversion gives.
        """
        shapes, converters = self._adapted.shapes, self._converters
        parameter, pattern = self._renamed(source, self._renamings, converters)
        bare = rename_source_key(source, self._renamings, converters)[0]
        if parameter not in shapes and source in shapes:
            parameter, pattern, bare = source, None, source
        if parameter not in shapes:
            return None
        if pattern is not None:
            self._check_untouched(parameter, pattern)
        if parameter == bare:
            return source, parameter, pattern is None
        if parameter == f"{self._prefix}.{bare}":
            return f"{self._prefix}.{source}", parameter, pattern is None
        if source.startswith(f"{self._prefix}."):
            return source.removeprefix(f"{self._prefix}."), parameter, pattern is None
        raise NotStreamable(f"it is not known how {source} of its base model is written")

    def held_in(self, parameter: str, dtype: torch.dtype) -> torch.dtype:
        """The number type of a parameter in a model of some number type: some are fp32 always."""
        pattern = self._held.get(dtype)
        return torch.float32 if pattern is not None and pattern.search(parameter) else dtype

    def _renamed(self, source: str, renamings: list[Any], converters: list[Any]) -> tuple[str, str | None]:
        found: tuple[str, str | None] = rename_source_key(
            source, renamings, converters, self._prefix, self._adapted.shapes
        )
        return found

    def _check_untouched(self, parameter: str, pattern: str) -> None:
        """A tensor that is made of several, or in another form, is copied as it is stored, or not at all."""
        rule = next(one for one in self._converters if pattern in one.source_patterns)
        is_changed = parameter in self._adapted.updates or parameter in self._adapted.replacements
        if is_changed or len(rule.target_patterns) > 1:
            raise NotStreamable(f"its base model stores {parameter} in another form")

    def _kept_wide(self, dtype: torch.dtype) -> Any:
        patterns = list(self._adapted.model._get_dtype_plan(dtype))
        return build_glob_alternation(patterns)[0] if patterns else None
