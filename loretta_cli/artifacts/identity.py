"""Whether a base model is the one that a run was trained on, by the run's fingerprints.

What is compared is content: a model that was moved, renamed or downloaded again passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loretta_cli.artifacts.base_location import POINT_AT_IT
from loretta_cli.artifacts.fingerprint import (
    WeightFile,
    fingerprint_of,
    read_fingerprints,
    weight_files,
    write_fingerprints,
)
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.tensor_header import NUMBER_NAMES
from loretta_cli.errors import RunError
from loretta_cli.models.loading import LoadedModel
from loretta_cli.planning.plan import Plan, load_base

Note = Callable[[str], object]
NEWER_ON_HUB = (
    "The hub may have a newer one: write the commit it was trained on into model.revision of the run's "
    "config.yaml."
)
"""The hint where the model is one of the hub."""


def load_checked_base(
    plan: Plan, run: RunFolder, *, plain: bool = False, note: Note | None = None, hint: str = POINT_AT_IT
) -> LoadedModel:
    """Load the base model of a run, which has to be the one that it was trained on.

    Args:
        plan: The run's plan.
        run: The run.
        plain: Undo a quantisation.
        note: Told where the run has no fingerprints.
        hint: How to say where the model is.

    Raises:
        RunError: If it is another one.
        ModelError: If it cannot be read.
    """
    if plan.source.is_local:
        check_base(plan, run, note=note, hint=hint)
        return load_base(plan, plain=plain)
    base = load_base(plan, plain=plain)  # downloads what is not there or is not the newest
    check_base(plan, run, note=note, hint=hint)
    return base


def check_base(plan: Plan, run: RunFolder, *, note: Note | None = None, hint: str = POINT_AT_IT) -> None:
    """Refuse a base model that is not the one that a run was trained on, without loading it.

    Of a model of the hub, the files in the cache are looked at: download them first.

    Args:
        plan: Of the run, with the base model in question.
        run: The run.
        note: Told where the run has no fingerprints, which passes.
        hint: How to say where the right model is.

    Raises:
        RunError: Naming the file that differs.
    """
    expected = read_fingerprints(run)
    if expected is None or not expected.base:
        if note is not None:
            note(
                f"the run {run.path} has no fingerprints of its base model: whether this is the same one was "
                "not checked"
            )
        return
    found = fingerprint_of(_files(plan)).base
    if [file.content for file in found] == [file.content for file in expected.base]:
        return
    where = hint if plan.source.is_local else NEWER_ON_HUB
    raise RunError(
        f"The base model {plan.source.name} is not the one that the run {run.path} was trained on: "
        f"{_difference(expected.base, found)}.",
        hint=f"{where} If its files are damaged, get them anew; if the same weights were only saved again, "
        f"remove {run.fingerprints_file.name} from the run.",
    )


def record_base(plan: Plan, run: RunFolder) -> None:
    """Write the fingerprint of a run's base model, which has been loaded, unless there is one already."""
    if read_fingerprints(run) is not None:
        return
    found = fingerprint_of(_files(plan))
    if found.dtype is None:  # of files that are not safetensors, what their config says
        said = str(getattr(plan.model_config, "dtype", None)).removeprefix("torch.")
        by_name = {name: kind for kind, name in NUMBER_NAMES.items()}
        found = replace(found, dtype=by_name.get(said, "F32"))
    write_fingerprints(run, found)


def _files(plan: Plan) -> tuple[Path, ...]:
    named = getattr(plan.model_config, "transformers_weights", None)
    return weight_files(plan.source, revision=plan.config.model.revision, named=named)


def _difference(expected: tuple[WeightFile, ...], found: tuple[WeightFile, ...]) -> str:
    """The first file that differs, in words."""
    present = {file.name: file for file in found}
    if len(expected) == len(found) == 1:
        present = {expected[0].name: found[0]}
    for file in expected:
        other = present.get(file.name)
        if other is None:
            return f"it has no file {file.name}"
        if other.bytes != file.bytes:
            return f"{other.name} has {other.bytes:,} bytes instead of {file.bytes:,}"
        if other.sha256 != file.sha256:
            return f"{other.name} has other contents"
    return f"it has {len(found):,} files of weights instead of {len(expected):,}"
