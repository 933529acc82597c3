"""The PEFT config of LoRETTA_rep."""

from __future__ import annotations

from dataclasses import dataclass

from loretta_cli.errors import ConfigError
from loretta_cli.models.families import Family
from loretta_cli.presets import Method, Preset
from loretta_cli.tuners.config import TensorTrainConfig
from loretta_cli.tuners.peft_types import LorettaPeftType


@dataclass
class LorettaRepConfig(TensorTrainConfig):
    """LoRETTA_rep: ``W0 x + (alpha / r) B A x`` with A and B tensor trains (LoRETTA, Section 3.3).

    Args:
        r: Bottleneck between A and B; LoRA's rank. From the preset if None.
        init_weights: True: B is zero, so the model starts as it was. ``"noise-reduction"``: both trains
            random and their initial product subtracted, saved with the adapter (the paper's way). False:
            random, for tests.
    """

    r: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = LorettaPeftType.LORETTA_REP
        if self.init_weights not in (True, False, "noise-reduction"):
            raise ConfigError(
                f"init_weights is {self.init_weights!r}; expected true, false or 'noise-reduction'."
            )

    @property
    def method(self) -> Method:
        """``rep``."""
        return "rep"

    def _fill(self, preset: Preset, family: Family | None) -> None:
        super()._fill(preset, family)
        if self.r is None:
            self.r = preset.bottleneck
        if self.alpha is None:
            self.alpha = preset.alpha * self.r / preset.bottleneck
        if self.target_modules is None and family is not None:
            self.target_modules = set(family.rep_targets)
