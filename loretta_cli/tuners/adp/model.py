"""The PEFT tuner of LoRETTA_adp."""

from __future__ import annotations

from loretta_cli.tuners.adp.layer import MERGE_REFUSAL, AdpLayer
from loretta_cli.tuners.tuner import TensorTrainTuner


class LorettaAdpModel(TensorTrainTuner):
    """Puts tensor-train bottleneck adapters before or behind linear layers."""

    prefix = "loretta_adp_"
    tuner_layer_cls = AdpLayer
    layer_class = AdpLayer

    def _check_merge_allowed(self) -> None:
        raise ValueError(MERGE_REFUSAL)
