"""Bringing a run back: its plan, its base model, and its adapter on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from peft import PeftModel
from transformers import PreTrainedModel

import loretta_cli.tuners  # noqa: F401  registers the adapter types
from loretta_cli.artifacts.adapter_files import check_adapter_files
from loretta_cli.artifacts.base_location import check_base_is_there
from loretta_cli.artifacts.fingerprint import check_adapter
from loretta_cli.artifacts.identity import Note, load_checked_base
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import RunError
from loretta_cli.models.loading import to_device
from loretta_cli.planning.plan import Plan, make_plan, split_rows
from loretta_cli.tuners.carrying import carry_over
from loretta_cli.tuners.saved_modules import hold_copies_in_float32


@dataclass(frozen=True, slots=True)
class Restored:
    """A run in memory.

    Args:
        plan: Its plan; the rows of one split stand in ``plan.data.validation``.
        model: Base model and adapter, in evaluation mode, on the device to use.
    """

    plan: Plan
    model: PeftModel


def restore(
    run: RunFolder,
    *,
    data: str | None = None,
    split: str = "validation",
    rows: int | None = None,
    plain: bool = False,
    adapter: Path | None = None,
    note: Note | None = None,
) -> Restored:
    """Load the adapter of a run onto its base model.

    Args:
        run: The run; ``run.base`` says where its base model is, if no longer where it was.
        data: Another data source than the run's own.
        split: The rows to read.
        rows: At most so many rows.
        plain: Undo a quantisation of the base.
        adapter: A checkpoint of the run in place of its finished adapter.
        note: Told what could not be checked, because the run is of an earlier version.

    Raises:
        RunError: If the adapter cannot be loaded, or adapter or base are not those of the training.
        LorettaError: If the base model or the data cannot be read.
    """
    config = run.read_config()
    check_base_is_there(run)
    plan = make_plan(config, split_rows(config, data=data, split=split, rows=rows))
    return Restored(plan, load_adapter(plan, run, plain=plain, adapter=adapter, note=note))


def load_adapter(
    plan: Plan,
    run: RunFolder,
    *,
    plain: bool = False,
    shared: RunFolder | None = None,
    adapter: Path | None = None,
    note: Note | None = None,
) -> PeftModel:
    """The plan's base model with the run's adapter, in evaluation mode, on the device to use.

    Args:
        plan: The run's plan.
        run: The run.
        plain: Undo a quantisation of the base.
        shared: Another run, of which all but the classification head is taken.
        adapter: A checkpoint of the run in place of its finished adapter.
        note: Told what could not be checked.

    Raises:
        RunError: If the adapter's files are broken or do not fit the base model, or adapter or base are not
            those of the training.
    """
    for one in (run, shared) if adapter is None else ():
        if one is not None:
            check_adapter(one)
    base = load_checked_base(plan, run, plain=plain, note=note)
    model = put_saved(base.model, adapter or run.adapter, plan.config.model.name or "")
    if shared is not None:
        carry_over(model, shared.adapter, with_head=False)
    return cast("PeftModel", to_device(model).eval())


def put_saved(base: PreTrainedModel, folder: Path, name: str) -> PeftModel:
    """A base model with a saved adapter of any method, on the CPU.

    Args:
        base: The base model; changed in place.
        folder: The adapter, in PEFT's layout.
        name: Of the base model, for the message.

    Raises:
        RunError: If the files are broken or do not fit the base model.
    """
    check_adapter_files(folder)
    try:
        model = PeftModel.from_pretrained(base, folder)
    except Exception as error:  # safetensors, PEFT and torch each have kinds of their own
        reason = " ".join(str(error).split())[:300]
        raise RunError(
            f"The adapter in {folder} cannot be loaded onto {name}: {reason}",
            hint="The files may be damaged, or the base model may not be the one it was trained on.",
        ) from error
    if hold_copies_in_float32(model):
        carry_over(model, folder, with_head=True)  # PEFT has rounded what was trained in fp32
    return model
