"""Training chosen parameters of the base model itself: full fine-tuning, BitFit, a linear probe."""

from loretta_cli.tuners.selected.config import SelectedConfig
from loretta_cli.tuners.selected.model import SelectedModel
from loretta_cli.tuners.selected.parameter import SelectedParameter

__all__ = ["SelectedConfig", "SelectedModel", "SelectedParameter"]
