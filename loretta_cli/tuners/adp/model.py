"""The PEFT tuner of LoRETTA_adp."""

from __future__ import annotations

from typing import Any, cast

from loretta_cli.methods import MERGE_REFUSAL
from loretta_cli.tuners.adp.config import LorettaAdpConfig
from loretta_cli.tuners.adp.layer import AdpLayer
from loretta_cli.tuners.proposals import ffn_input_names
from loretta_cli.tuners.targets import TargetModulesError
from loretta_cli.tuners.tuner import TensorTrainTuner


class LorettaAdpModel(TensorTrainTuner):
    """Puts tensor-train bottleneck adapters before or behind linear layers."""

    prefix = "loretta_adp_"
    tuner_layer_cls = AdpLayer
    layer_class = AdpLayer
    weighted_sum_refusal = (
        "adp adapters cannot be added: each has a nonlinearity between its projections. Activate several at "
        "once with model.base_model.set_adapter([...]); they then act one after the other."
    )

    def _prepare_adapter_config(self, peft_config: Any, model_config: dict[str, Any]) -> Any:
        config = cast("LorettaAdpConfig", super()._prepare_adapter_config(peft_config, model_config))
        if config.placement == "mlp" and config.input_modules is None:
            # A model of unknown family: the side of each layer is found by inspection, or not at all.
            config.input_modules = ffn_input_names(self.model)
            if not config.input_modules:
                raise TargetModulesError(
                    "The placement is mlp, but this model's family is unknown and no layers were found that "
                    "a feed-forward network begins with.",
                    hint="Leave adapter.placement out: adapters then stand behind the target modules.",
                )
        return config

    def _check_merge_allowed(self) -> None:
        raise ValueError(MERGE_REFUSAL)
