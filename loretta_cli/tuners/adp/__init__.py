"""LoRETTA_adp: tensor-train bottleneck adapters. They are nonlinear and stay beside the base model."""

from loretta_cli.tuners.adp.config import LorettaAdpConfig
from loretta_cli.tuners.adp.layer import AdpLayer
from loretta_cli.tuners.adp.model import LorettaAdpModel

__all__ = ["AdpLayer", "LorettaAdpConfig", "LorettaAdpModel"]
