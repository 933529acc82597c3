"""Tiny models with a quantised base, loaded as ``loretta train`` loads them. Needs bitsandbytes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from loretta_cli.models.quantization import Quantization, kept_modules, make_trainable, quantizer_settings
from tests.tiny_models import model_class, tiny_model

KINDS: tuple[Quantization, ...] = ("nf4", "fp4", "int8")
HIDDEN = 64
"""Width of the models below: a block of a 4-bit weight."""

_WIDE = {"hidden_size": HIDDEN, "intermediate_size": 2 * HIDDEN}
_SIZES = {"bert": _WIDE, "llama": _WIDE, "roberta": _WIDE, "gpt2": {"n_embd": HIDDEN}}
_FOLDERS = TemporaryDirectory(prefix="quantized-models-")


def plain_model(family: str) -> Any:
    """The tiny model whose weights are quantised; other families than those of 4 bits are 48 wide."""
    return tiny_model(family, **_SIZES.get(family, {}))


@cache
def _folder(family: str) -> Path:
    """A tiny model on disk, for all tests of this process."""
    logging.disable_progress_bar()
    folder = Path(_FOLDERS.name) / family
    plain_model(family).save_pretrained(folder)
    return folder


def quantized_model(
    family: str, kind: Quantization, *, dtype: torch.dtype = torch.float32, **options: Any
) -> Any:
    """A tiny model whose linear layers are quantised, in eval mode, the same weights every time.

    Args:
        family: Any name in :data:`tests.tiny_models.TINY` for int8; bert, gpt2, llama or roberta for 4 bits.
        kind: Of the quantisation.
        dtype: Of the products and of what is not quantised.
        options: For ``from_pretrained``; another ``quantization_config``, for example.
    """
    kind_of_model = model_class(family)
    settings = quantizer_settings(kind, dtype, kept_modules(kind_of_model.config_class.model_type))
    options = {"quantization_config": settings, "dtype": dtype, **options}
    model = kind_of_model.from_pretrained(_folder(family), **options)
    make_trainable(model)
    return model.eval()


def quantized_bytes(model: Any) -> dict[str, torch.Tensor]:
    """The packed weights of a model, by the name of the parameter, detached from it."""
    return {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if not parameter.is_floating_point()
    }


def save_quantized_copy(source: Path, folder: Path, kind: Quantization) -> Path:
    """Write a causal language model again, with its weights stored quantised, and its tokenizer.

    Args:
        source: The folder of the model.
        folder: Where to.
        kind: Of the quantisation.

    Returns:
        The folder.
    """
    settings = quantizer_settings(kind, torch.float32, kept_modules(None))
    model = AutoModelForCausalLM.from_pretrained(source, quantization_config=settings, dtype=torch.float32)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder
