"""The base of both tuners: every override of PEFT's internal hooks stands here and in ``refusals.py``.

PEFT is pinned to a minor version because these hooks are its internals: ``_prepare_adapter_config``,
``inject_adapter``, ``_cast_adapter_dtype``, ``_replace_module``, ``_unload_and_optionally_merge``,
``_check_merge_allowed`` (in the two models), ``_enable_peft_forward_hooks``.
"""

from __future__ import annotations

from typing import Any, cast

from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import ModulesToSaveWrapper, get_quantization_kwargs, resolve_quantization_backend
from torch import nn
from transformers.pytorch_utils import Conv1D

from loretta_cli.models.quantization import make_trainable
from loretta_cli.tt import TensorTrain
from loretta_cli.tuners.all_linear import expand_all_linear
from loretta_cli.tuners.config import TensorTrainConfig
from loretta_cli.tuners.head import install_tt_head, make_heads_dense
from loretta_cli.tuners.offload import check_in_memory, check_saved_in_memory
from loretta_cli.tuners.refusals import UnsupportedFeatures
from loretta_cli.tuners.saved_modules import freeze_as_buffers, hold_in_float32, release_float32, thaw
from loretta_cli.tuners.targets import (
    TargetModulesError,
    check_every_target_matches,
    check_layers,
    check_saved_modules,
    missing_targets,
)


class TensorTrainTuner(UnsupportedFeatures, BaseTuner):
    """A PEFT tuner whose layers are tensor trains and whose config is completed from a preset."""

    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 - PEFT declares it so
    layer_class: type[Any]

    def _prepare_adapter_config(self, peft_config: Any, model_config: dict[str, Any]) -> Any:
        config = cast("TensorTrainConfig", peft_config)
        config.complete(model_config, (name for name, _ in self.model.named_modules()))
        check_layers(config.layers_to_transform, model_config)
        expand_all_linear(config, self.model)
        if config.target_modules is None:
            raise missing_targets(self.model, model_config.get("model_type"), config.method)
        for name in config.frozen_modules_to_save or ():
            if not any(_lies_at_or_under(name, saved) for saved in config.modules_to_save or ()):
                config.modules_to_save = [*(config.modules_to_save or ()), name]
        check_saved_modules(config.modules_to_save, self.model)
        check_saved_in_memory(config.modules_to_save, self.model)
        return config

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Put the adapter into the model, then give its saved modules their form (TT head, frozen)."""
        config = cast("TensorTrainConfig", self.peft_config[adapter_name])
        make_trainable(model)
        names = [name for name, _ in model.named_modules()]
        check_every_target_matches(config.target_modules, names, model)
        super().inject_adapter(model, adapter_name, *args, **kwargs)
        self._install_tt_head(config, adapter_name)
        for name, module in self._saved_modules(adapter_name):
            # PEFT matches by the end of a name, dot or not: `classifier` takes `pre_classifier` too.
            saved_as = max(filter(name.endswith, config.modules_to_save or ()), key=len, default=name)
            for frozen in config.frozen_modules_to_save or ():
                if frozen == saved_as:
                    freeze_as_buffers(module)
                elif _lies_at_or_under(frozen, name):
                    freeze_as_buffers(module.get_submodule(frozen.removeprefix(f"{name}.")))
        self._check_mode_shapes(config)

    def _install_tt_head(self, config: TensorTrainConfig, adapter_name: str) -> None:
        """Replace the dense layer of the head, a saved module itself or inside one, by a tensor train."""
        dense = config.tt_head or ""
        for name, module in self._saved_modules(adapter_name) if dense else ():
            if dense == name:
                copies = cast("ModulesToSaveWrapper", self.model.get_submodule(name)).modules_to_save
                install_tt_head(copies, adapter_name, config)
            elif _lies_at_or_under(dense, name):
                owner = module.get_submodule(_between(name, dense))
                install_tt_head(owner, dense.rpartition(".")[2], config)

    def _check_mode_shapes(self, config: TensorTrainConfig) -> None:
        """Refuse modes for a size of matrix that the adapter does not have."""
        trains = [module.shape for module in self.model.modules() if isinstance(module, TensorTrain)]
        sizes = {f"{shape.in_features}x{shape.out_features}" for shape in trains}
        unused = sorted(set(config.mode_shapes or ()) - sizes)
        if unused:
            raise TargetModulesError(
                f"mode_shapes has modes for {', '.join(unused)}, but no train of the adapter has that size.",
                hint=f"Sizes of this adapter, in x out: {', '.join(sorted(sizes))}.",
            )

    def _saved_modules(self, adapter_name: str) -> list[tuple[str, nn.Module]]:
        """Name of the original module and the copy of it that belongs to the adapter."""
        return [
            (name, module.modules_to_save[adapter_name])
            for name, module in self.model.named_modules()
            if isinstance(module, ModulesToSaveWrapper) and adapter_name in module.modules_to_save
        ]

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        super()._cast_adapter_dtype(adapter_name, autocast_adapter_dtype)
        if autocast_adapter_dtype:
            for _, module in self._saved_modules(adapter_name):
                hold_in_float32(module)

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        if isinstance(target, self.layer_class):
            target.update_layer(adapter_name, peft_config, module_name=current_key)
            return
        base = target.get_base_layer() if isinstance(target, BaseTunerLayer) else target
        quantized = resolve_quantization_backend(base, **get_quantization_kwargs(self.model))
        if not isinstance(base, (nn.Linear, Conv1D)) and quantized is None:
            raise TargetModulesError(
                f"The target module {current_key} is a {type(base).__name__}; tensor trains adapt linear "
                "layers only (torch.nn.Linear, Conv1D, and their quantised forms)."
            )
        _check_is_called(current_key, parent)
        check_in_memory(current_key, base, self.model)
        layer = self.layer_class(target, adapter_name, peft_config, module_name=current_key)
        layer.quantization_backend = quantized
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _replace_module(
        self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module
    ) -> None:
        # PEFT reads `.weight` of whatever it puts back; a head of several layers has none.
        if isinstance(child, ModulesToSaveWrapper):
            setattr(parent, child_name, new_module)
            return
        super()._replace_module(parent, child_name, new_module, child)

    # PEFT's annotation says None; it returns the model.
    def _unload_and_optionally_merge(self, *args: Any, **kwargs: Any) -> nn.Module:  # type: ignore[override]
        model = cast("nn.Module", super()._unload_and_optionally_merge(*args, **kwargs))
        thaw(model)
        make_heads_dense(model)
        for module in model.modules():
            release_float32(module)
        return model


def _check_is_called(name: str, parent: nn.Module) -> None:
    """Refuse layers whose weights torch reads without calling them: their adapter would do nothing."""
    if isinstance(parent, (nn.MultiheadAttention, nn.TransformerEncoderLayer)):
        raise TargetModulesError(
            f"The target module {name} stands in a torch.nn.{type(parent).__name__}, which computes with the "
            "weights of its layers without calling them (an encoder layer does so in evaluation): an adapter "
            "would have no effect.",
            hint="Name other target_modules, or leave these out with exclude_modules.",
        )


def _lies_at_or_under(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


def _between(name: str, path: str) -> str:
    """The path from module ``name`` to the owner of ``path``: ``("a", "a.b.c")`` gives ``"b"``."""
    return path.removeprefix(name).lstrip(".").rpartition(".")[0]
