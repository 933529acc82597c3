"""The PEFT tuner of LoRETTA_rep."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import nn

from loretta_cli.tt import TensorTrain
from loretta_cli.tuners.rep.layer import RepLayer
from loretta_cli.tuners.tuner import TensorTrainTuner


class LorettaRepModel(TensorTrainTuner):
    """Reparameterises linear layers by ``W0 + (alpha / r) B A`` with A and B tensor trains."""

    prefix = "loretta_rep_"
    tuner_layer_cls = RepLayer
    layer_class = RepLayer
    weighted_sum_refusal = (
        "rep adapters cannot be added: the sum of two has twice the TT rank, so no rep adapter of this shape "
        "holds it. Make each a LoRA (loretta_cli.tuners.lora_form, or loretta export RUN --format lora) and "
        "call add_weighted_adapter there."
    )

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Put the adapter into the model; tell its layers what it saves beside them."""
        super().inject_adapter(model, adapter_name, *args, **kwargs)
        saved = [module for _, module in self._saved_modules(adapter_name)]
        flat = not any(
            isinstance(module, TensorTrain) or [*module.children(), *module.buffers()] for module in saved
        )
        for module in model.modules():
            if isinstance(module, RepLayer) and adapter_name in module.loretta_rep_A:
                module.saves[adapter_name] = "nothing" if not saved else "flat modules" if flat else "more"

    def _check_merge_allowed(self) -> None:
        # PEFT asks this before every merge. It would only warn of tied weights; a layer that knows of them
        # merges into a weight of its own.
        modules = list(self.model.modules())
        owners = Counter(id(weight) for module in modules for weight in module._parameters.values())
        for module in modules:
            if isinstance(module, RepLayer):
                module.tied = owners[id(getattr(module.get_base_layer(), "weight", None))] > 1
