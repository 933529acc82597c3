"""LoRETTA_rep: tensor-train reparameterised updates. They merge into the base weights exactly."""

from loretta_cli.tuners.rep.as_lora import lora_form
from loretta_cli.tuners.rep.config import LorettaRepConfig
from loretta_cli.tuners.rep.layer import RepLayer
from loretta_cli.tuners.rep.model import LorettaRepModel

__all__ = ["LorettaRepConfig", "LorettaRepModel", "RepLayer", "lora_form"]
