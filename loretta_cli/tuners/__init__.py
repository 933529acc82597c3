"""The PEFT tuners of this project. Importing this package registers them with PEFT.

One folder a method (config, layer, model); shared parts beside them. May import :mod:`tt`,
:mod:`models.families` and PEFT.
"""

from loretta_cli.tuners.adp import LorettaAdpConfig, LorettaAdpModel
from loretta_cli.tuners.hotswap import swap_adapter
from loretta_cli.tuners.register import register_peft_types
from loretta_cli.tuners.rep import LorettaRepConfig, LorettaRepModel, lora_form
from loretta_cli.tuners.selected import SelectedConfig, SelectedModel

register_peft_types()

__all__ = [
    "LorettaAdpConfig",
    "LorettaAdpModel",
    "LorettaRepConfig",
    "LorettaRepModel",
    "SelectedConfig",
    "SelectedModel",
    "lora_form",
    "swap_adapter",
]
