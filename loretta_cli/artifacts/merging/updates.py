"""What an adapter does to each tensor of its base model, without the base model's weights.

The base stands on the meta device, where a tensor has a shape and no numbers; only the adapter is read.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, cast

import torch
from peft import PeftModel, load_peft_weights, set_peft_model_state_dict
from peft.tuners.ia3 import IA3Layer
from peft.tuners.ia3 import Linear as IA3Linear
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper, ModulesToSaveWrapper
from peft.utils.other import transpose
from torch import nn

import loretta_cli.tuners  # noqa: F401  registers the adapter types
from loretta_cli.artifacts.adapter_files import check_adapter_files
from loretta_cli.artifacts.merging import NotStreamable
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import RunError
from loretta_cli.models.loading import empty_model, settle_config
from loretta_cli.planning.plan import Plan
from loretta_cli.tuners.head import make_heads_dense
from loretta_cli.tuners.rep.layer import RepLayer
from loretta_cli.tuners.saved_modules import release_float32, thaw

STREAMED = ("rep", "lora", "ia3")
"""Methods whose effect is a change of single tensors."""
ADAPTER = "default"


@dataclass(frozen=True, slots=True)
class Update:
    """What is added to one tensor.

    Args:
        layer: Name of the adapted layer.
        module: The layer with the adapter.
        part: ``weight`` or ``bias``.
    """

    layer: str
    module: Any
    part: str

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """What is added to a base tensor: a tensor of its own, of the same shape, in fp32 or wider.

        Args:
            tensor: The base tensor; methods that add do not look at it.
        """
        wide = torch.promote_types(tensor.dtype, torch.float32)
        module = self.module
        with torch.no_grad():
            if isinstance(module, RepLayer):
                return module.get_delta_weight(ADAPTER).to(wide)
            if isinstance(module, LoraLinear):
                return _lora_product(module, wide)
            factors: torch.Tensor = module.ia3_l[ADAPTER].to(wide) - 1
            if self.part == "bias":
                return tensor * factors.reshape(tensor.shape)
            return tensor * transpose(factors, module.fan_in_fan_out)


def _lora_product(module: Any, dtype: torch.dtype) -> torch.Tensor:
    product = module.lora_B[ADAPTER].weight.to(dtype) @ module.lora_A[ADAPTER].weight.to(dtype)
    return transpose(product.mul_(module.scaling[ADAPTER]), module.fan_in_fan_out)


@dataclass(frozen=True, slots=True)
class Adapted:
    """A model without weights, and what an adapter does to those it would have.

    Args:
        model: A transformers model on the meta device, with the adapter in it; its config is final.
        shapes: Of the tensors of the model without the adapter, by name.
        tied: Names of parameters to all names of the same parameter.
        updates: What is added to which tensor.
        replacements: What stands in the place of which tensor, trained norms and heads.
    """

    model: Any
    shapes: dict[str, tuple[int, ...]]
    tied: dict[str, tuple[str, ...]]
    updates: dict[str, Update]
    replacements: dict[str, torch.Tensor]


def read_adapter(plan: Plan, run: RunFolder) -> Adapted:
    """The adapter of a run, on its base model without weights.

    Raises:
        NotStreamable: If it does more than change single tensors.
        RunError: If its files are broken or do not fit the base model.
    """
    base = _empty(plan)
    shapes = {name: tuple(tensor.shape) for name, tensor in base.state_dict().items()}
    tied = _tied(base)
    adapted = _with_adapter(base, plan, run)
    if adapted.peft_config[ADAPTER].to_dict().get("bias", "none") != "none":
        raise NotStreamable("its adapter trains biases of the base model as well")
    updates = updates_of(base)
    found = replacements(base)
    shared = [name for name in (*updates, *found) if len(tied.get(name, ())) > 1]
    if shared:
        raise NotStreamable(f"{shared[0]} is also another tensor of the model")
    return Adapted(base, shapes, tied, updates, found)


def updates_of(model: nn.Module) -> dict[str, Update]:
    """What the adapter in a model adds to which of its tensors, by their names without the adapter.

    Raises:
        NotStreamable: If a layer is adapted in another way.
    """
    return {
        f"{name}.{update.part}": update
        for name, module in model.named_modules()
        if isinstance(module, BaseTunerLayer)
        for update in _updates(name, module)
    }


def check_streamable(plan: Plan) -> None:
    """Refuse what the plan alone tells.

    Raises:
        NotStreamable: For a method that changes more than single tensors, and a base that is not read from
            plain files.
    """
    method, model = plan.config.adapter.method, plan.config.model
    if method not in STREAMED:
        raise NotStreamable(f"the method {method} changes more than single matrices")
    if model.quantization is not None:
        raise NotStreamable("its base model is quantised")
    if model.trust_remote_code:
        raise NotStreamable("its base model has code of its own")
    if getattr(plan.model_config, "transformers_weights", None) is not None:
        raise NotStreamable("its base model names a file of weights of its own")


def _empty(plan: Plan) -> Any:
    """The base model as it is loaded, without weights."""
    config = copy.deepcopy(plan.model_config)
    labels = config.num_labels or 2
    if plan.form.name == "classification":
        labels = len(plan.labels)
        config.id2label = dict(enumerate(plan.labels))
        config.label2id = {name: index for index, name in enumerate(plan.labels)}
    base = empty_model(config, plan.form.name, labels).eval()
    settle_config(base, plan.form.tokenizer.pad_token_id)
    return base


def _tied(base: nn.Module) -> dict[str, tuple[str, ...]]:
    names: dict[int, list[str]] = {}
    for name, parameter in base.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {name: tuple(group) for group in names.values() for name in group}


def _with_adapter(base: Any, plan: Plan, run: RunFolder) -> Any:
    check_adapter_files(run.adapter)
    try:
        adapted = PeftModel.from_pretrained(base, run.adapter, low_cpu_mem_usage=True, torch_device="cpu")
        for module in base.modules():
            if isinstance(module, BaseTunerLayer):
                # PEFT has put the adapter where the base is: on the meta device, without its numbers.
                module._move_adapter_to_device_of_base_layer = _stay  # type: ignore[method-assign]
        saved = load_peft_weights(str(run.adapter), device="cpu")
        set_peft_model_state_dict(adapted, saved, low_cpu_mem_usage=True)
    except Exception as error:  # safetensors, PEFT and torch each have kinds of their own
        reason = " ".join(str(error).split())[:300]
        raise _misfit(plan, run, reason) from error
    for name, module in base.named_modules():
        if isinstance(module, BaseTunerLayer):
            layer = cast("nn.Module", module)
            tensors = {key: value for key, value in layer.named_parameters() if "base_layer" not in key}
        elif isinstance(module, ModulesToSaveWrapper):
            tensors = module.modules_to_save.state_dict()
        else:
            continue
        missing = [key for key, value in tensors.items() if value.device.type == "meta"]
        if missing:
            raise _misfit(plan, run, f"the tensor {missing[0]} of {name} is missing")
    return adapted


def _stay(*args: Any, **options: Any) -> None:
    """In the place of PEFT's way of moving an adapter to the device of its base layer."""


def _misfit(plan: Plan, run: RunFolder, reason: str) -> RunError:
    return RunError(
        f"The adapter in {run.adapter} cannot be loaded onto {plan.config.model.name}: {reason}",
        hint="The files may be damaged, or the base model may not be the one it was trained on.",
    )


def _updates(name: str, module: BaseTunerLayer) -> list[Update]:
    """What a layer with an adapter changes.

    Raises:
        NotStreamable: If that is not known.
    """
    layer = cast("Any", module)
    is_known = isinstance(module, RepLayer | LoraLinear | IA3Linear)
    is_inside = any(part in name.split(".") for part in ("base_layer", "modules_to_save", "original_module"))
    if not is_known or is_inside:
        raise NotStreamable(f"{name} is adapted in a way that is not a change of one matrix")
    if isinstance(module, LoraLayer) and (layer.lora_variant or layer.lora_bias[ADAPTER]):
        raise NotStreamable(f"the LoRA of {name} is not a plain one")
    found = [Update(name, layer, "weight")]
    if isinstance(module, IA3Layer) and not layer.is_feedforward and layer.get_base_layer().bias is not None:
        found.append(Update(name, layer, "bias"))
    return found


def replacements(base: nn.Module) -> dict[str, torch.Tensor]:
    """The modules that the adapter carries whole, as ordinary ones: dense, and not in buffers."""
    found: dict[str, torch.Tensor] = {}
    for name, module in base.named_modules():
        if isinstance(module, ModulesToSaveWrapper):
            # In a list: the module itself may be a tensor train, which is replaced in what holds it.
            holder = nn.ModuleList([copy.deepcopy(module.modules_to_save[ADAPTER])])
            thaw(holder)
            make_heads_dense(holder)
            release_float32(holder[0])
            found |= {f"{name}.{key}": value.detach() for key, value in holder[0].state_dict().items()}
        elif isinstance(module, AuxiliaryTrainingWrapper):
            raise NotStreamable(f"{name} is trained in part")
    return found
