"""The PEFT tuner of LoRETTA_rep."""

from __future__ import annotations

from loretta_cli.tuners.rep.layer import RepLayer
from loretta_cli.tuners.tuner import TensorTrainTuner


class LorettaRepModel(TensorTrainTuner):
    """Reparameterises linear layers by ``W0 + (alpha / r) B A`` with A and B tensor trains."""

    prefix = "loretta_rep_"
    tuner_layer_cls = RepLayer
    layer_class = RepLayer
