"""Config, tokenizer and weights of a GGUF file through transformers, as numbers that can be trained on.

transformers would keep quantised weights in their blocks; here they are always unpacked.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import pre_tokenizers
from transformers import AutoConfig, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils

from loretta_cli.errors import ConfigError, LorettaError, ModelError
from loretta_cli.models.gguf_files import (
    UNQUANTISED,
    check_readable,
    read_header,
    settle_gguf_config,
)
from loretta_cli.models.source import ModelSource
from loretta_cli.refused_memory import is_out_of_memory

_DIGITS_ALONE = ("codeshell", "command-r", "exaone", "minerva-7b", "refact", "smollm", "starcoder")
"""Vocabularies, by ``tokenizer.ggml.pre``, in which every digit is a token; transformers does not say so."""


def gguf_config(source: ModelSource) -> Any:
    """The config of a GGUF file; a second reading of the same file costs nothing.

    Raises:
        ModelError: If it cannot be read, or would be read as another model.
    """
    stat = Path(source.location).stat()
    return copy.deepcopy(_read_config(source, stat.st_size, stat.st_mtime_ns))


@functools.lru_cache(maxsize=4)
def _read_config(source: ModelSource, size: int, changed: int) -> Any:
    file = Path(source.location)
    header = read_header(file)
    check_readable(source.name, header)
    if (file.parent / "adapter_config.json").exists():
        raise ModelError(
            f"Beside {source.name} lies an adapter_config.json, and transformers would load that adapter's "
            "base model instead.",
            hint="Move the GGUF file into a folder of its own.",
        )
    with gguf_faults(source):
        config = AutoConfig.from_pretrained(source.folder, gguf_file=source.gguf_file)
    settle_gguf_config(config, header)
    return config


def gguf_tokenizer(source: ModelSource) -> Any:
    """The tokenizer of a GGUF file, with its chat template.

    Raises:
        ModelError: If it cannot be read.
    """
    header = read_header(Path(source.location))
    with gguf_faults(source):
        tokenizer = AutoTokenizer.from_pretrained(source.folder, gguf_file=source.gguf_file)
        if header.fields.get("tokenizer.ggml.pre") in _DIGITS_ALONE:
            tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Digits(individual_digits=True),
                    pre_tokenizers.ByteLevel(add_prefix_space=False),
                ]
            )
    return tokenizer


def gguf_options(source: ModelSource, config: Any, options: dict[str, Any]) -> dict[str, Any]:
    """What ``from_pretrained`` takes to load a GGUF file.

    Args:
        source: The file.
        config: Its config; the labels go into it.
        options: Those for a folder.
    """
    labels = {name: options.pop(name) for name in ("num_labels", "id2label", "label2id") if name in options}
    for name, value in labels.items():
        setattr(config, name, value)
    more = {"gguf_file": source.gguf_file, "quantization_config": GgufConfig(dequantize=True)}
    return options | more | {"config": config}


def check_not_quantised_again(source: ModelSource, asked: str | None) -> None:
    """Refuse to quantise what is read from a GGUF file.

    Raises:
        ConfigError: With what to give instead.
    """
    if asked is not None and source.gguf_file is not None:
        raise ConfigError(
            f"model.quantization is {asked}, and the base model {source.name} is a GGUF file, whose weights "
            "are unpacked when it is read.",
            hint="Leave model.quantization out, or give the model as a transformers folder or hub id.",
        )


def stored_kind(source: ModelSource) -> str | None:
    """What the weights of a GGUF file are quantised to; None if they are not, or it is no GGUF file."""
    if source.gguf_file is None:
        return None
    kind = read_header(Path(source.location)).kind
    return None if kind in UNQUANTISED else kind


@contextlib.contextmanager
def gguf_faults(source: ModelSource) -> Iterator[None]:
    """Turn what is raised over a GGUF file into a sentence; show no progress bar meanwhile."""
    try:
        with _without_bar():
            yield
    except LorettaError:
        raise
    except Exception as error:  # transformers, gguf and numpy each have kinds of their own
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split("\n")[0].split())[:300] or type(error).__name__
        raise ModelError(
            f"Cannot read the GGUF file {source.name}: {reason}",
            hint="transformers reads some of the architectures that llama.cpp knows. Give the model as a "
            "transformers folder or by its hub id, or get the file anew if it is damaged.",
        ) from error


@contextlib.contextmanager
def _without_bar() -> Iterator[None]:
    """Take away the bar over a file's tensors, which no switch of transformers turns off."""
    utilities: Any = modeling_gguf_pytorch_utils
    bar = utilities.tqdm
    utilities.tqdm = _plain_list
    try:
        yield
    finally:
        utilities.tqdm = bar


def _plain_list(values: Any, **_: Any) -> Any:
    return values
