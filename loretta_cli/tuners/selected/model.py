"""The PEFT tuner that trains chosen parameters of the base model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from peft import TaskType
from peft.tuners.tuners_utils import BaseTuner
from torch import nn
from torch.nn.utils import parametrize

from loretta_cli.models.families import family_of
from loretta_cli.models.inspection import head_modules
from loretta_cli.models.quantization import quantized_layers
from loretta_cli.tuners.offload import check_in_memory
from loretta_cli.tuners.proposals import config_of
from loretta_cli.tuners.refusals import UnsupportedFeatureError, UnsupportedFeatures
from loretta_cli.tuners.selected.config import SelectedConfig
from loretta_cli.tuners.selected.parameter import (
    IN_PLACE_REFUSAL,
    SelectedParameter,
    TiedParameter,
    own_parameters,
    selected_parameter,
)
from loretta_cli.tuners.targets import TargetModulesError


class SelectedModel(UnsupportedFeatures, BaseTuner):
    """Gives chosen parameters a trained copy; no module is replaced."""

    prefix = "loretta_selected_"
    tuner_layer_cls = SelectedParameter
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 - PEFT declares it so
    weighted_sum_refusal = (
        "Adapters that train the base model's own parameters cannot be added: each has its own value of them."
    )

    def _prepare_adapter_config(self, peft_config: Any, model_config: dict[str, Any]) -> Any:
        return peft_config

    def _create_and_replace(self, *args: Any, **kwargs: Any) -> None:
        """Not called: no module is a target."""

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Give each selected parameter a copy for the adapter.

        Raises:
            TargetModulesError: If nothing is selected, or a selected parameter is quantised.
            UnsupportedFeatureError: If there is another adapter, and one of them trains in place.
        """
        config = cast("SelectedConfig", self.peft_config[adapter_name])
        if len(self.peft_config) > 1 and any(one.in_place for one in self.peft_config.values()):
            raise UnsupportedFeatureError(IN_PLACE_REFUSAL)
        if config.task_type == TaskType.SEQ_CLS and family_of(config_of(model).get("model_type")) is None:
            config.modules += [name for name in head_modules(model) if not config.is_whole(name)]
        selected = list(_selected(model, config))
        _check(selected, model, config)
        super().inject_adapter(model, adapter_name, *args, **kwargs)
        first: dict[int, SelectedParameter] = {}
        for _, module, tensor_name in selected:
            value = own_parameters(module)[tensor_name]
            known = selected_parameter(module, tensor_name)
            if known is None:
                tied = first.get(id(value))
                if tied is None:
                    known = SelectedParameter(module, tensor_name, self.active_adapters)
                else:
                    known = TiedParameter(tied)
                parametrize.register_parametrization(module, tensor_name, known, unsafe=True)
            if isinstance(known, SelectedParameter):
                first[id(value)] = known
                known.update_layer(
                    adapter_name, inference_mode=config.inference_mode, in_place=config.in_place
                )
            if not config.in_place:
                value.requires_grad_(False)

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        config = cast("SelectedConfig", self.peft_config[adapter_name])
        # What trains in place is the base's own and keeps its dtype.
        super()._cast_adapter_dtype(adapter_name, autocast_adapter_dtype and not config.in_place)

    def _unload_and_optionally_merge(  # type: ignore[override]  # PEFT's annotation says None; it returns a model
        self,
        merge: bool = True,
        progressbar: bool = False,
        safe_merge: bool = False,
        adapter_names: list[str] | None = None,
    ) -> nn.Module:
        for module in self.model.modules():
            if isinstance(module, SelectedParameter):
                if merge:
                    module.merge(safe_merge=safe_merge, adapter_names=adapter_names)
                elif module.merged:
                    module.unmerge()
        for module in list(self.model.modules()):
            for name in own_parameters(module):
                if selected_parameter(module, name) is not None:
                    parametrize.remove_parametrizations(module, name, leave_parametrized=False)
        unload = super()._unload_and_optionally_merge
        return cast("nn.Module", unload(merge, progressbar, safe_merge, adapter_names))


def _selected(model: nn.Module, config: SelectedConfig) -> Iterator[tuple[str, nn.Module, str]]:
    """Each selected parameter: full name of its module, the module, and its own name."""
    for name, module in list(model.named_modules()):
        if ".parametrizations" not in name:
            for tensor_name in own_parameters(module):
                if config.selects(name, tensor_name):
                    yield name, module, tensor_name


def _check(selected: list[tuple[str, nn.Module, str]], model: nn.Module, config: SelectedConfig) -> None:
    """Refuse a selection that cannot train.

    Raises:
        TargetModulesError: Saying what there is.
    """
    names = [name for name, _, _ in selected]
    if config.parameters == "biases" and all(config.is_whole(name) for name in names):
        raise TargetModulesError(
            "The base model has no biases, so there is nothing to train but its head.",
            hint="Choose another method.",
        )
    if not selected:
        raise TargetModulesError(
            "No parameter is selected: the model has no classification head that could train.",
            hint="Use --set task.form=classification, or choose another method.",
        )
    weights = {name for name, _, tensor_name in selected if not tensor_name.endswith("bias")}
    if wrong := [name for name in quantized_layers(model) if name in weights]:
        raise TargetModulesError(
            f"The weights of {', '.join(wrong[:3])} are quantised and cannot be trained.",
            hint="Load the model without model.quantization, or choose another method.",
        )
    for name, module, _ in selected:
        check_in_memory(name, module, model)
