"""The PEFT config of LoRETTA_adp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args

from loretta_cli.errors import ConfigError
from loretta_cli.models.families import AdapterSites, Family, Placement
from loretta_cli.presets import Method, Preset
from loretta_cli.tuners.config import TensorTrainConfig
from loretta_cli.tuners.peft_types import LorettaPeftType

PROJECTIONS = ("tt", "dense")
ACTIVATIONS = ("relu", "gelu", "silu", "tanh")


@dataclass
class LorettaAdpConfig(TensorTrainConfig):
    """LoRETTA_adp: ``h + (alpha / bottleneck) up(act(down(h)))``, both projections tensor trains.

    With dense projections these are the adapters of Houlsby et al., for comparison.

    Args:
        bottleneck: Width between the projections (LoRETTA, Section 3.2). From the preset if None.
        activation: ``relu``, ``gelu``, ``silu`` or ``tanh``.
        adapter_bias: Whether the projections have dense biases.
        placement: ``sublayer`` (after the attention output and the FFN output) or ``mlp``.
        input_modules: Those of the target modules whose *input* passes through the adapter; the others
            have it on their output. Filled from the placement.
        projections: ``tt`` or ``dense``.
    """

    bottleneck: int | None = None
    activation: str | None = None
    adapter_bias: bool | None = None
    placement: str | None = None
    input_modules: list[str] | None = None
    projections: str = "tt"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = LorettaPeftType.LORETTA_ADP
        if self.activation is not None and self.activation not in ACTIVATIONS:
            raise ConfigError(f"activation is {self.activation!r}; expected one of {', '.join(ACTIVATIONS)}.")
        if self.placement is not None and self.placement not in get_args(Placement):
            raise ConfigError(
                f"placement is {self.placement!r}; expected one of {', '.join(get_args(Placement))}."
            )
        if self.projections not in PROJECTIONS:
            raise ConfigError(
                f"projections is {self.projections!r}; expected one of {', '.join(PROJECTIONS)}."
            )
        if self.init_weights not in (True, False):
            raise ConfigError(
                f"init_weights is {self.init_weights!r}; adp knows true (identity) and false (random) only.",
                hint="The paper's noise-reduction initialisation belongs to rep.",
            )

    @property
    def method(self) -> Method:
        """``adp``."""
        return "adp"

    def _fill(self, preset: Preset, family: Family | None) -> None:
        super()._fill(preset, family)
        for name in ("bottleneck", "activation", "adapter_bias", "placement"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(preset, name))
        if self.projections == "dense":
            self.tt_rank = None
        if self.alpha is None and self.bottleneck is not None:
            self.alpha = preset.alpha * self.bottleneck / preset.bottleneck
        if family is not None:
            self._take_sites(family.sites[cast("Placement", self.placement)])

    def _settle_head(self, preset: Preset, family: Family, module_names: set[str]) -> None:
        super()._settle_head(preset, family, module_names)
        if self.projections == "dense" and self.head == "dense":
            # Of the methods that ours are compared with, a pooler that the checkpoint lacks trains as well.
            frozen = self.frozen_modules_to_save or ()
            self.frozen_modules_to_save = [name for name in frozen if name not in family.head.modules]

    def _take_sites(self, sites: AdapterSites) -> None:
        """Fill the targets from a placement; those given keep the side that the placement gives them."""
        if self.target_modules is None:
            self.target_modules = {*sites.output, *sites.input}
            if sites.exclude and self.exclude_modules is None:
                self.exclude_modules = set(sites.exclude)
        if self.input_modules is None:
            self.input_modules = list(sites.input)
