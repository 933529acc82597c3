"""Quantised bases: linear layers in 4 or 8 bits (bitsandbytes), how they are chosen, kept, counted, undone.

A base is quantised while it is loaded (``model.quantization``), or was stored so. Its head and everything
that the adapter saves stay as they are. What PEFT's ``prepare_model_for_kbit_training`` does besides is
there already or not wanted: PEFT freezes the base, the tuners hold what trains in fp32, gradient
checkpointing is the kind that needs no gradient at the input, and frozen norms and embeddings in fp32
would cost memory and train nothing.

A 4-bit layer multiplies with the numbers that its weight stands for. An int8 layer rounds its inputs too,
on a CPU in evaluation only.

Imports torch and transformers; bitsandbytes, an extra, only once a model is quantised.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

import torch
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D

from loretta_cli.errors import ConfigError, ModelError
from loretta_cli.models.families import family_of

Quantization = Literal["nf4", "fp4", "int8"]
PACKAGE = "bitsandbytes"
OUTPUT_LAYERS = ("lm_head", "embed_out")
"""Names that transformers gives the output layer of a language model."""
UNKNOWN_HEAD = ("classifier", "score")
"""Heads of classifiers of unknown family; PEFT's own assumption too."""

_LAYERS = ("Linear4bit", "Linear8bitLt")
_CPU_REPACKING = "support_avx512bf16_for_cpu"


def resolve_quantization(asked: Quantization | None, config: Any, name: str) -> Quantization | None:
    """The quantisation that a base will have: as asked, or as it is stored.

    Args:
        asked: ``model.quantization``.
        config: The model's transformers config.
        name: The model's name, for messages.

    Raises:
        ConfigError: If it is stored quantised in another way than asked.
        ModelError: If it is stored in a format of another package, or bitsandbytes is not installed.
    """
    stored = stored_quantization(config, name)
    if asked is not None and stored is not None and asked != stored:
        raise ConfigError(
            f"model.quantization is {asked}, but the weights of {name} are stored in {stored} already.",
            hint="Leave model.quantization out, or give the model that is not quantised.",
        )
    kind = asked or stored
    if kind is not None and importlib.util.find_spec(PACKAGE) is None:
        raise ModelError(
            f"A base model in {kind} needs the package {PACKAGE}, which is not installed.",
            hint="pip install 'loretta-cli[quant]'",
        )
    return kind


def stored_quantization(config: Any, name: str = "the model") -> Quantization | None:
    """How the weights of a model lie on disk, by its config; None if they are not quantised.

    Raises:
        ModelError: If they are in a format of another package.
    """
    found = getattr(config, "quantization_config", None)
    if found is None:
        return None
    settings = found if isinstance(found, Mapping) else found.to_dict()
    if settings.get("load_in_8bit"):
        return "int8"
    kind = settings.get("bnb_4bit_quant_type")
    if settings.get("load_in_4bit") and kind in ("nf4", "fp4"):
        return cast("Quantization", kind)
    found_format = settings.get("quant_method", "of another package")
    raise ModelError(
        f"The weights of {name} are stored in the format {found_format}; of the quantised formats, those of "
        f"{PACKAGE} are read.",
        hint="Give the model that is not quantised, and for example model.quantization=nf4.",
    )


def quantizer_settings(kind: Quantization, dtype: torch.dtype, keep: Iterable[str]) -> BitsAndBytesConfig:
    """What ``from_pretrained`` needs to quantise while loading.

    Args:
        kind: ``nf4`` and ``fp4`` with doubly quantised scales, as in QLoRA, or ``int8``.
        dtype: Of the products and of everything that is not quantised.
        keep: Names of modules that stay as they are.
    """
    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(keep))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=kind,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=True,
        llm_int8_skip_modules=list(keep),
    )


def keep_more(quantizer: BitsAndBytesConfig, names: Iterable[str]) -> BitsAndBytesConfig:
    """The same settings with more modules that stay as they are."""
    settings = quantizer.to_dict()
    settings["llm_int8_skip_modules"] = [*(quantizer.llm_int8_skip_modules or ()), *names]
    return cast("BitsAndBytesConfig", BitsAndBytesConfig.from_dict(settings))


def kept_modules(model_type: str | None) -> list[str]:
    """Names of the heads and output layers of a model type, which are never quantised."""
    family = family_of(model_type)
    return [*(family.head.modules if family is not None else UNKNOWN_HEAD), *OUTPUT_LAYERS]


def quantized_layers(model: nn.Module, below: Iterable[str] | None = None) -> list[str]:
    """Names of the quantised layers of a model.

    Args:
        model: Any model.
        below: Only those at or under these modules; all if None.
    """
    roots = None if below is None else list(below)
    return [
        name
        for name, module in model.named_modules()
        if _is_quantized(module)
        and (roots is None or any(name == root or name.startswith(f"{root}.") for root in roots))
    ]


def misplaced_layers(model: Any, new_modules: Iterable[str]) -> list[str]:
    """Names of the quantised layers of a model that must not be: in modules that are new, or its output."""
    output = model.get_output_embeddings()
    roots = [*new_modules, *(name for name, module in model.named_modules() if module is output)]
    return quantized_layers(model, roots)


def _is_quantized(module: nn.Module) -> bool:
    kind = type(module)  # PEFT has classes of the same names
    return kind.__name__ in _LAYERS and kind.__module__.startswith(PACKAGE)


def make_trainable(model: nn.Module) -> None:
    """Have 4-bit layers keep the layout of their weights, in which they can be trained through and merged.

    Two faults of bitsandbytes 0.50 on a CPU are met here. With AVX512-BF16 it repacks a weight at its first
    forward pass in evaluation mode, for good: from then on no gradient passes the layer, and its weight
    cannot be read. And it mixes up the scales where a row of the weight is not a whole number of blocks.

    Raises:
        ModelError: If a layer is repacked already, or its rows are not whole blocks.
    """
    for name, module in model.named_modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is None or module.weight.device.type != "cpu":
            continue
        if getattr(state, "packing_format_for_cpu", False):
            raise ModelError(
                f"The 4-bit layer {name} was used for inference on a CPU, and {PACKAGE} has repacked its "
                "weight: no gradient passes it any more.",
                hint="Load the base model anew and put the adapter in before the first forward pass.",
            )
        if state.shape[-1] % state.blocksize:
            raise ModelError(
                f"The layer {name} has {state.shape[-1]} inputs; on a CPU, {PACKAGE} computes 4-bit layers "
                f"right only with a multiple of {state.blocksize}.",
                hint="Use model.quantization=int8, or a GPU.",
            )
        setattr(module, _CPU_REPACKING, False)


def parameter_size(parameter: torch.Tensor) -> int:
    """How many numbers a parameter stands for; a 4-bit one holds two in a byte."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else int(torch.Size(state.shape).numel())


def dequantize(model: nn.Module) -> None:
    """Replace the quantised layers of a model, in place, by ordinary ones with the numbers they stand for.

    Args:
        model: A transformers model without an adapter, as ``from_pretrained`` gave it.
    """
    base = cast("Any", model)
    for name in quantized_layers(model):
        base.set_submodule(name, _ordinary(base.get_submodule(name), base.dtype))
    quantizer = getattr(base, "hf_quantizer", None)
    if quantizer is not None:
        quantizer.remove_quantization_config(base)
    for flag in ("is_loaded_in_4bit", "is_loaded_in_8bit"):
        base.__dict__.pop(flag, None)
    # transformers undoes at saving what it did at loading, and cannot undo the reading of packed weights.
    conversions = base.__dict__.get("_weight_conversions") or ()
    base._weight_conversions = [entry for entry in conversions if not _reads_packed(entry)]


def _reads_packed(conversion: Any) -> bool:
    return any(hasattr(step, "hf_quantizer") for step in getattr(conversion, "operations", ()))


def _ordinary(layer: Any, dtype: torch.dtype) -> nn.Module:
    """A Linear, or the Conv1D that the layer was made from, on the device of its weight."""
    weight, bias = _weight(layer, dtype), layer.bias
    plain: Any
    with torch.device("meta"):
        if getattr(layer, "source_cls", nn.Linear) is Conv1D:
            plain, weight = Conv1D(layer.out_features, layer.in_features), weight.T.contiguous()
        else:
            plain = nn.Linear(layer.in_features, layer.out_features, bias=bias is not None)
    plain.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        plain.bias = nn.Parameter(bias.detach().to(dtype), requires_grad=False)
    return cast("nn.Module", plain.train(layer.training))


def _weight(layer: Any, dtype: torch.dtype) -> torch.Tensor:
    """The ``(out, in)`` matrix that a quantised layer multiplies with, rounded once, to ``dtype``."""
    from bitsandbytes import functional

    weight = layer.weight
    if type(layer).__name__ == "Linear4bit":
        state = copy.copy(weight.quant_state)
        state.dtype = dtype
        return cast("torch.Tensor", functional.dequantize_4bit(weight.data, state))
    scale = weight.SCB if layer.state.SCB is None else layer.state.SCB
    return cast("torch.Tensor", functional.int8_vectorwise_dequant(weight.data, scale)).to(dtype)
