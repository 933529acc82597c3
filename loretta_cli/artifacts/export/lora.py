"""rep as a standard PEFT LoRA, exact and of the lowest rank.

The update of rep is a product of two thin matrices (``RepLayer.factors``), hence a LoRA of that rank with
the scale folded in and ``alpha = r``. Trained norms and heads go along as ``modules_to_save``, a TT head as
the dense matrix that it is.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.utils import ModulesToSaveWrapper
from torch import nn

from loretta_cli.artifacts.card import public_name
from loretta_cli.artifacts.comparison import VERIFIED_ROWS, Comparison, compare, row_logits
from loretta_cli.artifacts.export.report import ExportReport
from loretta_cli.artifacts.files import check_new_folder, new_folder, write_text
from loretta_cli.artifacts.restore import restore
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import ConfigError, ExportError
from loretta_cli.models.loading import to_device
from loretta_cli.planning.plan import load_base
from loretta_cli.report import Reporter
from loretta_cli.tuners.head import make_heads_dense
from loretta_cli.tuners.rep import RepLayer
from loretta_cli.tuners.saved_modules import release_float32, thaw

Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]


def export_lora(run: RunFolder, output: Path, reporter: Reporter, data: str | None = None) -> ExportReport:
    """Write a run's rep adapter as a LoRA, load it with plain PEFT, and compare.

    Raises:
        ConfigError: If the run's method is not rep.
        ExportError: If the LoRA's logits differ by more than the tolerance; nothing is left behind.
    """
    method = run.read_config().adapter.method
    if method != "rep":
        raise ConfigError(
            f"Only rep exports as LoRA; this run is {method}."
            + (" Its adapters are nonlinear, and LoRA is linear." if method == "adp" else ""),
            hint="Train with --method rep."
            if method == "adp"
            else "The adapter folder is a PEFT adapter already.",
        )
    check_new_folder(output)
    restored = restore(run, data=data, rows=VERIFIED_ROWS)
    plan, form = restored.plan, restored.plan.form
    rows = form.encode(plan.data.task, plan.data.validation).rows
    reporter.note(f"computing the logits of {len(rows)} rows with the rep adapter")
    before = row_logits(restored.model, form, rows)
    with new_folder(output) as folder:
        rank = write_lora(restored.model, load_base(plan).model, folder)
        form.tokenizer.save_pretrained(folder)
        del restored
        reporter.note("loading the LoRA with plain PEFT and comparing")
        again = PeftModel.from_pretrained(load_base(plan).model, folder)
        comparison = compare(before, row_logits(to_device(again), form, rows), again.dtype)
        if not comparison.passed:
            raise ExportError(
                f"The LoRA differs from the rep adapter by {comparison.max_abs_difference:.3g} in a logit, "
                f"more than the {comparison.tolerance:.3g} accepted; nothing was written.",
                hint="Use model.dtype=float32.",
            )
        write_text(folder / "README.md", _card(run, plan.config.model.name or "", rank, comparison))
    return ExportReport(str(output), "lora", comparison, rank)


def write_lora(model: PeftModel, base: nn.Module, folder: Path) -> int:
    """Save the active rep adapter of ``model`` as a LoRA for ``base``.

    Args:
        model: Base and rep adapter.
        base: The same base model without adapter; it is changed.
        folder: Where to save.

    Returns:
        The largest rank of a layer.
    """
    adapter = model.active_adapters[0]
    source = cast("Any", model.peft_config[adapter])
    factors: Factors = {
        name: module.factors(adapter)
        for name, module in _base(model).named_modules()
        if isinstance(module, RepLayer)
    }
    ranks = {name: pair[0].shape[1] for name, pair in factors.items()}
    rank = max(ranks.values())
    odd = {name: number for name, number in ranks.items() if number != rank}
    config = LoraConfig(
        r=rank,
        lora_alpha=rank,
        rank_pattern=odd,
        alpha_pattern=odd,
        target_modules=sorted(factors),
        modules_to_save=list(source.modules_to_save or ()) or None,
        # The task type would add head names once more; the wrapped modules are what is saved.
        task_type=source.task_type,
    )
    lora = cast("PeftModel", get_peft_model(cast("Any", base), config))
    with torch.no_grad():
        _copy_factors(lora, factors)
        _copy_saved_modules(model, lora, adapter)
    lora.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    return rank


def _copy_factors(lora: PeftModel, factors: Factors) -> None:
    for name, module in _base(lora).named_modules():
        if isinstance(module, LoraLayer):
            left, right = factors[name]
            cast("nn.Linear", module.lora_A["default"]).weight.copy_(left.T)
            cast("nn.Linear", module.lora_B["default"]).weight.copy_(right.T)


def _copy_saved_modules(model: PeftModel, lora: PeftModel, adapter: str) -> None:
    """Copy norms and heads; a TT layer becomes dense, frozen numbers become parameters again."""
    targets = dict(_base(lora).named_modules())
    for name, module in _base(model).named_modules():
        if isinstance(module, ModulesToSaveWrapper):
            plain = copy.deepcopy(module.modules_to_save[adapter])
            thaw(plain)
            make_heads_dense(plain)
            release_float32(plain)
            cast("Any", targets[name]).modules_to_save["default"].load_state_dict(plain.state_dict())


def _base(model: PeftModel) -> nn.Module:
    """The transformers model inside, with its tuner layers."""
    return cast("nn.Module", model.base_model.model)


def _card(run: RunFolder, base: str, rank: int, comparison: Comparison) -> str:
    return f"""\
---
base_model: {public_name(base)}
library_name: peft
---

# LoRA of rank {rank}, exported from a LoRETTA_rep adapter

Made by `loretta export --format lora` from the run `{run.path.name}`. A standard PEFT LoRA that needs no
loretta. The scale is folded in (`lora_alpha = r`). On {comparison.rows} validation rows the largest
difference of a logit to the rep adapter is {comparison.max_abs_difference:.3g}.
"""
