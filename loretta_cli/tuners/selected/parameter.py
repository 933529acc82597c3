"""One parameter of the base model with a trained copy for each adapter.

The copy takes the parameter's place through torch's parametrisation, so that whoever reads ``module.weight``
gets the copy, and the module keeps its class; the base's own numbers stay as they were.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import nn
from torch.nn.utils import parametrize

from loretta_cli.tuners.refusals import UnsupportedFeatureError

IN_PLACE_REFUSAL = (
    "The base model's own parameters are trained in place: there is no base left to go back to, nor one for "
    "another adapter. Load the saved adapter onto a new base model."
)


class SelectedParameter(nn.Module, BaseTunerLayer):
    """The parametrisation of one parameter.

    Args:
        owner: The module that has the parameter.
        tensor_name: Its name there.
        active_adapters: Those that are active in the model.
    """

    adapter_layer_names = ("loretta_selected_copies",)

    def __init__(self, owner: nn.Module, tensor_name: str, active_adapters: list[str]) -> None:
        super().__init__()
        self._owner = (owner, tensor_name)  # in a tuple, so that it is no submodule
        self.loretta_selected_copies = nn.ParameterDict()
        self._disable_adapters = False
        self._active_adapter = list(active_adapters)
        self.merged_adapters: list[str] = []
        self._unmerged: torch.Tensor | None = None

    @property
    def original(self) -> nn.Parameter:
        """The base's own parameter."""
        owner, name = self._owner
        parametrizations: Any = owner.parametrizations
        return cast("nn.Parameter", parametrizations[name].original)

    @property
    def is_in_place(self) -> bool:
        """Whether the base's own parameter trains."""
        return any(copy is self.original for copy in self.loretta_selected_copies.values())

    def update_layer(self, adapter_name: str, *, inference_mode: bool, in_place: bool = False) -> None:
        """Add a copy for an adapter, or replace the one of this name.

        Args:
            adapter_name: Of the adapter.
            inference_mode: Whether it does not train.
            in_place: The base's own parameter serves as the copy.
        """
        # The very same object: two that share their memory would part when the model moves to a device.
        copy = self.original if in_place else nn.Parameter(self.original.detach().clone())
        self.loretta_selected_copies[adapter_name] = copy
        self.set_adapter(self.active_adapters, inference_mode=inference_mode)

    def forward(self, original: torch.Tensor) -> torch.Tensor:
        """The active adapter's copy in the base's dtype, or the parameter itself.

        Raises:
            UnsupportedFeatureError: If several adapters are active, or none of one that trains in place.
        """
        if self.disable_adapters:
            if self.is_in_place:
                raise UnsupportedFeatureError(IN_PLACE_REFUSAL)
            if self.merged:
                self.unmerge()
            return self.original
        names = [name for name in self.active_adapters if name in self.loretta_selected_copies]
        if self.merged or not names:
            return original
        if len(names) > 1:
            raise UnsupportedFeatureError(
                f"The adapters {', '.join(names)} each have a value of their own for the same parameter: "
                "activate one of them."
            )
        copy: torch.Tensor = self.loretta_selected_copies[names[0]]
        return copy.to(original.dtype)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Write an adapter's copy into the base.

        Args:
            safe_merge: Refuse numbers that are not finite.
            adapter_names: Which one; the active one if None.

        Raises:
            ValueError: If ``safe_merge`` finds a number that is not finite.
        """
        for name in check_adapters_to_merge(self, adapter_names) or ():
            if name not in self.loretta_selected_copies:
                continue
            original, copy = self.original, self.loretta_selected_copies[name].detach()
            if safe_merge and not torch.isfinite(copy).all():
                raise ValueError(
                    f"NaNs detected in the merged weights. The adapter {name} seems to be broken"
                )
            if self._unmerged is None:
                self._unmerged = original.data
            original.data = copy.to(original.dtype, copy=True)
            self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Put the base's own numbers back."""
        if self._unmerged is not None:
            self.original.data = self._unmerged
        self._unmerged = None
        self.merged_adapters.clear()


class TiedParameter(nn.Module):
    """A parameter that another module has too: it shows what that module's shows, and saves nothing itself.

    Args:
        selected: Of the module that comes first.
    """

    def __init__(self, selected: SelectedParameter) -> None:
        super().__init__()
        self._selected = (selected,)

    def forward(self, original: torch.Tensor) -> torch.Tensor:
        """What the first module shows."""
        result: torch.Tensor = self._selected[0](original)
        return result


def own_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that a module owns itself, those with trained copies by the names they had."""
    own = {name: value for name, value in module._parameters.items() if value is not None}
    for name, chain in getattr(module, "parametrizations", {}).items():
        if isinstance(chain[0], (SelectedParameter, TiedParameter)):
            own[name] = chain.original
    return own


def selected_parameter(module: nn.Module, tensor_name: str) -> SelectedParameter | TiedParameter | None:
    """The parametrisation of a parameter that has trained copies; None for others."""
    if not parametrize.is_parametrized(module, tensor_name):
        return None
    parametrizations: Any = module.parametrizations
    found = parametrizations[tensor_name][0]
    return found if isinstance(found, (SelectedParameter, TiedParameter)) else None
