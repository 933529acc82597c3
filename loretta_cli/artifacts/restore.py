"""Bringing a run back: its plan, its base model, and its adapter on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from peft import PeftModel

import loretta_cli.tuners  # noqa: F401  registers the adapter types
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import RunError
from loretta_cli.models.loading import to_device
from loretta_cli.planning.plan import Plan, load_base, make_plan, split_rows
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
) -> Restored:
    """Load the adapter of a run onto its base model.

    Args:
        run: The run.
        data: Another data source than the run's own.
        split: The rows to read.
        rows: At most so many rows.
        plain: Undo a quantisation of the base.

    Raises:
        RunError: If the adapter cannot be loaded.
        LorettaError: If the base model or the data cannot be read.
    """
    config = run.read_config()
    plan = make_plan(config, split_rows(config, data=data, split=split, rows=rows))
    return Restored(plan, load_adapter(plan, run, plain=plain))


def load_adapter(
    plan: Plan, run: RunFolder, *, plain: bool = False, shared: RunFolder | None = None
) -> PeftModel:
    """The plan's base model with the run's adapter, in evaluation mode, on the device to use.

    Args:
        plan: The run's plan.
        run: The run.
        plain: Undo a quantisation of the base.
        shared: Another run, of which all but the classification head is taken.

    Raises:
        RunError: If the adapter's files are broken or do not fit the base model.
    """
    base = load_base(plan, plain=plain)
    try:
        model = PeftModel.from_pretrained(base.model, run.adapter)
    except Exception as error:  # safetensors, PEFT and torch each have kinds of their own
        reason = " ".join(str(error).split())[:300]
        raise RunError(
            f"The adapter in {run.adapter} cannot be loaded onto {plan.config.model.name}: {reason}",
            hint="The files may be damaged, or the base model may not be the one it was trained on.",
        ) from error
    if hold_copies_in_float32(model):
        carry_over(model, run.adapter, with_head=True)  # PEFT has rounded what was trained in fp32
    if shared is not None:
        carry_over(model, shared.adapter, with_head=False)
    return cast("PeftModel", to_device(model).eval())
