"""The layer of LoRETTA_rep: a frozen linear layer plus ``(alpha / r) B A``, both tensor trains.

``x A B`` is a chain of four factors, of which the two inner ones are tiny. They are folded into the
outer ones, so the update is always two thin products through the narrowest place of the chain. The
same pair of factors is the forward pass, the merge, and the exact LoRA of lowest rank.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any, cast

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, _get_in_out_features, check_adapters_to_merge
from peft.utils.other import transpose
from torch import nn

from loretta_cli.errors import ConfigError
from loretta_cli.tuners.rep.config import LorettaRepConfig
from loretta_cli.tuners.rep.folding import FactorTrain, apply_factors, fold

NOISE_REDUCTION = "noise-reduction"
START_LAYERS = ("loretta_rep_start_A", "loretta_rep_start_B")
"""The trains as they began, kept with noise-reduction only; PEFT saves them and never trains them."""


class RepLayer(nn.Module, BaseTunerLayer):
    """A linear layer with any number of rep adapters.

    Args:
        base_layer: The frozen layer; ``nn.Linear``, ``Conv1D`` or a quantised linear layer.
        adapter_name: The first adapter.
        config: Its settings.
        module_name: Name of the layer in the model.
    """

    adapter_layer_names = ("loretta_rep_A", "loretta_rep_B", *START_LAYERS)
    other_param_names = ("loretta_rep_dropout", "scaling", "saves")

    def __init__(
        self, base_layer: nn.Module, adapter_name: str, config: LorettaRepConfig, *, module_name: str
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.in_features, self.out_features = cast(
            "tuple[int, int]", _get_in_out_features(self.get_base_layer())
        )
        self.loretta_rep_A = nn.ModuleDict()
        self.loretta_rep_B = nn.ModuleDict()
        self.loretta_rep_start_A = nn.ModuleDict()
        self.loretta_rep_start_B = nn.ModuleDict()
        self.frozen_peft_weight_names: dict[str, tuple[str, ...]] = {}
        self.loretta_rep_dropout = nn.ModuleDict()
        self.scaling: dict[str, float] = {}
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        self.cast_input_dtype_enabled = True
        self.saves: dict[str, str] = {}  # what the adapters save beside trains, see LorettaRepModel
        self.tied = False  # whether another module has the same weight; the tuner says so before it merges
        self._tied_weight: tuple[torch.Tensor, ...] = ()
        self._active_adapter = adapter_name
        # Conv1D keeps its weight as (in, out).
        self.fan_in_fan_out = type(self.get_base_layer()).__name__ == "Conv1D"
        self.update_layer(adapter_name, config, module_name=module_name)

    def update_layer(self, adapter_name: str, config: LorettaRepConfig, *, module_name: str) -> None:
        """Add an adapter, or replace the one of this name.

        Raises:
            ConfigError: If the bottleneck is not positive.
        """
        r, tt_rank, alpha, dropout = config.r, config.tt_rank, config.alpha, config.dropout
        if r is None or tt_rank is None or alpha is None or dropout is None or r < 1:
            raise ConfigError(f"rep needs a bottleneck of at least 1, found r={r}.")
        self._forget_start(adapter_name)
        start_at_zero = config.init_weights is True
        down = config.mode_shape(self.in_features, r)
        up = config.mode_shape(r, self.out_features)
        self.loretta_rep_A[adapter_name] = FactorTrain(down, tt_rank)
        self.loretta_rep_B[adapter_name] = FactorTrain(up, tt_rank, zero_last=start_at_zero)
        if config.init_weights == NOISE_REDUCTION:
            self.loretta_rep_start_A[adapter_name] = copy.deepcopy(self.loretta_rep_A[adapter_name])
            self.loretta_rep_start_B[adapter_name] = copy.deepcopy(self.loretta_rep_B[adapter_name])
            self.frozen_peft_weight_names[adapter_name] = START_LAYERS
        drop = nn.Dropout(dropout) if dropout > 0 else nn.Identity()
        # A new module is in training mode, whatever the model around it is in.
        self.loretta_rep_dropout[adapter_name] = drop.train(self.training)
        self.scaling[adapter_name] = alpha / r
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def _forget_start(self, adapter_name: str) -> None:
        for start in (self.loretta_rep_start_A, self.loretta_rep_start_B):
            if adapter_name in start:
                del start[adapter_name]
        self.frozen_peft_weight_names.pop(adapter_name, None)

    def factors(self, adapter_name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """``(in, k)`` and ``(k, out)`` with ``x + x @ first @ second`` the adapter's update, scale included.

        ``k`` is the lowest exact rank: the least of ``r`` and the two bond ranks. With noise-reduction
        the initial product is subtracted and ``k`` is twice that.
        """
        pair = self._current_factors(adapter_name)
        if adapter_name not in self.loretta_rep_start_A:
            return pair
        start = self._start_factors(adapter_name)
        return torch.cat([pair[0], start[0]], dim=1), torch.cat([pair[1], -start[1]], dim=0)

    def _current_factors(self, adapter_name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self._folded(self.loretta_rep_A, self.loretta_rep_B, adapter_name)

    def _start_factors(self, adapter_name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self._folded(self.loretta_rep_start_A, self.loretta_rep_start_B, adapter_name)

    def _folded(
        self, first: nn.ModuleDict, second: nn.ModuleDict, adapter_name: str
    ) -> tuple[torch.Tensor, torch.Tensor]:
        pair = cast("tuple[FactorTrain, FactorTrain]", (first[adapter_name], second[adapter_name]))
        return fold(*pair, self.scaling[adapter_name])

    def get_delta_weight(self, adapter_name: str) -> torch.Tensor:
        """The update as a matrix in the layout of the base weight, in fp32 or wider."""
        left, right = self.factors(adapter_name)
        wide = torch.promote_types(left.dtype, torch.float32)
        delta = left.to(wide) @ right.to(wide)
        return transpose(delta.T, self.fan_in_fan_out)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add the adapters to the base weight: summed in fp32, cast once.

        A quantised weight is quantised anew, with a warning, as PEFT's own methods do.

        Args:
            safe_merge: Refuse a result that is not finite and leave the layer as it was.
            adapter_names: Which ones; the active ones if None.

        Raises:
            ValueError: If ``safe_merge`` finds a number that is not finite.
        """
        for name in check_adapters_to_merge(self, adapter_names) or ():
            if name not in self.loretta_rep_A:
                continue
            self._warn_of_rounding("Merging into")
            weight = self.get_base_weight()
            merged = _added(weight, self.get_delta_weight(name))
            if safe_merge and not torch.isfinite(merged).all():
                raise ValueError(
                    f"NaNs detected in the merged weights. The adapter {name} seems to be broken"
                )
            self._untie()
            self.set_base_weight(merged)
            self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Take the merged adapters out of the base weight again."""
        while self.merged_adapters:
            name = self.merged_adapters.pop()
            if name in self.loretta_rep_A:
                self._warn_of_rounding("Unmerging from")
                self.set_base_weight(_added(self.get_base_weight(), -self.get_delta_weight(name)))
        if self._tied_weight:
            cast("nn.Linear", self.get_base_layer()).weight = cast("nn.Parameter", self._tied_weight[0])
            self._tied_weight = ()

    def _untie(self) -> None:
        """Give the base layer a weight of its own where another module has the same one."""
        if self.tied and not self._tied_weight:
            base = cast("nn.Linear", self.get_base_layer())
            self._tied_weight = (base.weight,)
            base.weight = nn.Parameter(base.weight.detach().clone(), requires_grad=False)

    def _warn_of_rounding(self, action: str) -> None:
        if self.quantization_backend is not None:
            warnings.warn(
                f"{action} a quantised weight rounds it anew ({self.quantization_backend.backend_name}): the "
                "output changes a little. `loretta merge --dequantize` and a base loaded without "
                "quantisation do not round.",
                stacklevel=3,
            )

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """``(..., in)`` -> ``(..., out)``."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        result: torch.Tensor = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters or self.merged:
            return result
        for name in self.active_adapters:
            if name in self.loretta_rep_A:
                result = result + self._update(x, name).to(result.dtype)
        return result

    def _update(self, x: torch.Tensor, name: str) -> torch.Tensor:
        left, right = self._current_factors(name)
        inputs = self._cast_input_dtype(self.loretta_rep_dropout[name](x), left.dtype)
        update = apply_factors(inputs, left, right)
        if name in self.loretta_rep_start_A:
            # The same two products, so that at the first step the difference is exactly zero.
            left, right = self._start_factors(name)
            update = update - apply_factors(inputs, left, right)
        return update

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """Whether PEFT's ``convert_to_lora`` keeps the whole adapter.

        The update is a product of two matrices. Of saved modules, PEFT's converter keeps those without
        modules or frozen numbers inside, and mixes up those of several adapters.
        """
        saves = self.saves.get(adapter_name, "nothing")
        if saves == "nothing" or (saves == "flat modules" and len(self.loretta_rep_A) == 1):
            return True
        warnings.warn(
            f"PEFT's convert_to_lora would lose a part of the norms or head that adapter {adapter_name!r} "
            "saves; loretta_cli.tuners.lora_form(model, adapter_name) loses nothing.",
            stacklevel=2,
        )
        return False

    def __repr__(self) -> str:
        """PEFT's way of marking a tuner layer."""
        text: str = super().__repr__()
        return f"loretta_rep.{text}"


def _added(weight: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    return (weight.to(delta.dtype) + delta.to(weight.device)).to(weight.dtype)
