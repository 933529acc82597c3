"""The layer of LoRETTA_adp: a frozen linear layer with a bottleneck adapter before or behind it."""

from __future__ import annotations

from typing import Any, cast

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, _get_in_out_features
from torch import nn
from transformers.activations import ACT2FN

from loretta_cli.errors import ConfigError
from loretta_cli.methods import MERGE_REFUSAL
from loretta_cli.tt import TensorTrainLinear
from loretta_cli.tuners.adp.config import LorettaAdpConfig


class AdpLayer(nn.Module, BaseTunerLayer):
    """A linear layer with any number of bottleneck adapters.

    Args:
        base_layer: The frozen layer; ``nn.Linear``, ``Conv1D`` or a quantised linear layer.
        adapter_name: The first adapter.
        config: Its settings.
        module_name: Name of the layer in the model.
    """

    adapter_layer_names = ("loretta_adp_down", "loretta_adp_up")
    other_param_names = ("loretta_adp_activation", "loretta_adp_dropout", "scaling", "on_input")

    def __init__(
        self, base_layer: nn.Module, adapter_name: str, config: LorettaAdpConfig, *, module_name: str
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.in_features, self.out_features = cast(
            "tuple[int, int]", _get_in_out_features(self.get_base_layer())
        )
        self.loretta_adp_down = nn.ModuleDict()
        self.loretta_adp_up = nn.ModuleDict()
        self.loretta_adp_activation = nn.ModuleDict()
        self.loretta_adp_dropout = nn.ModuleDict()
        self.scaling: dict[str, float] = {}
        self.on_input: dict[str, bool] = {}
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        self.cast_input_dtype_enabled = True
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config, module_name=module_name)

    def update_layer(self, adapter_name: str, config: LorettaAdpConfig, *, module_name: str) -> None:
        """Add an adapter, or replace the one of this name.

        Raises:
            ConfigError: If the bottleneck is not positive.
        """
        bottleneck, alpha, dropout = config.bottleneck, config.alpha, config.dropout
        if bottleneck is None or alpha is None or dropout is None or bottleneck < 1:
            raise ConfigError(f"adp needs a bottleneck of at least 1, found bottleneck={bottleneck}.")
        on_input = any(
            module_name == name or module_name.endswith(f".{name}") for name in config.input_modules or ()
        )
        width = self.in_features if on_input else self.out_features
        starts_as_identity = config.init_weights is True
        self.loretta_adp_down[adapter_name] = _projection(config, width, bottleneck)
        self.loretta_adp_up[adapter_name] = _projection(config, bottleneck, width, zero=starts_as_identity)
        self.loretta_adp_activation[adapter_name] = ACT2FN[config.activation or "relu"]
        drop = nn.Dropout(dropout) if dropout > 0 else nn.Identity()
        # A new module is in training mode, whatever the model around it is in.
        self.loretta_adp_dropout[adapter_name] = drop.train(self.training)
        self.scaling[adapter_name] = alpha / bottleneck
        self.on_input[adapter_name] = on_input
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """``(..., in)`` -> ``(..., out)``."""
        names = (
            []
            if self.disable_adapters
            else [name for name in self.active_adapters if name in self.loretta_adp_down]
        )
        for name in names:
            if self.on_input[name]:
                x = self._adapted(x, name)
        result: torch.Tensor = self.base_layer(x, *args, **kwargs)
        for name in names:
            if not self.on_input[name]:
                result = self._adapted(result, name)
        return result

    def _adapted(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        """``h + s up(act(down(h)))`` for one adapter, computed in the dtype of its cores."""
        down: Any = self.loretta_adp_down[name]
        inputs = self._cast_input_dtype(self.loretta_adp_dropout[name](hidden), next(down.parameters()).dtype)
        update: torch.Tensor = self.loretta_adp_up[name](self.loretta_adp_activation[name](down(inputs)))
        if self.scaling[name] != 1.0:
            update = update * self.scaling[name]
        return hidden + update.to(hidden.dtype)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refused.

        Raises:
            ValueError: Always, with the reason.
        """
        raise ValueError(MERGE_REFUSAL)

    def unmerge(self) -> None:
        """Nothing to do: this layer never merges."""

    def __repr__(self) -> str:
        """PEFT's way of marking a tuner layer."""
        text: str = super().__repr__()
        return f"loretta_adp.{text}"


def _projection(config: LorettaAdpConfig, rows: int, columns: int, *, zero: bool = False) -> nn.Module:
    """A ``rows x columns`` projection, which maps everything to zero if asked to."""
    bias = bool(config.adapter_bias)
    if config.projections == "tt":
        rank = config.tt_rank
        assert rank is not None, "the preset fills it"
        return TensorTrainLinear(config.mode_shape(rows, columns), rank, bias=bias, zero_last=zero)
    dense = nn.Linear(rows, columns, bias=bias)
    if zero:
        for parameter in dense.parameters():
            nn.init.zeros_(parameter)
    return dense
