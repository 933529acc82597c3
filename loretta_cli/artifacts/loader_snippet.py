"""Python for the cards: how the base model is loaded as it was for the run, and the adapter put on it.

It is run where the adapter's folder is; of a base model in a folder only the name is told.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loretta_cli.models.families import Form
from loretta_cli.models.forms import auto_class
from loretta_cli.models.quantization import kept_modules, stored_quantization
from loretta_cli.models.source import BUNDLED_WEIGHTS, ModelSource
from loretta_cli.tuners.peft_types import LorettaPeftType

if TYPE_CHECKING:
    from loretta_cli.planning.plan import Plan

_OWN_TYPES = "import loretta_cli.tuners  # registers the adapter types with PEFT"


@dataclass(frozen=True, slots=True)
class SnippetBase:
    """What decides how a base model is loaded.

    Args:
        source: Where it is.
        model_config: Its transformers config.
        form: How it is used.
        labels: How many outputs its classification head has; None where it has no such head.
        revision: Of a model of the hub.
        quantization: What it is quantised to while it is loaded, or how it is stored.
        has_own_code: Whether it comes with code of its own.
        pad_token_id: With a classification head on a decoder, which reads a text's last token: the token that
            is none. None where the base model's config says it, or where nothing depends on it.
        label_names: Of the head's outputs; empty where they are not known.
    """

    source: ModelSource
    model_config: Any
    form: Form
    labels: int | None = None
    revision: str | None = None
    quantization: str | None = None
    has_own_code: bool = False
    pad_token_id: int | None = None
    label_names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the snippet calls it: of a folder or a file, however the user wrote it, its own name alone."""
        name = self.source.name
        if not self.source.is_local or name.startswith("bundled:"):
            return name
        return Path(os.path.abspath(os.path.expanduser(name))).name

    @property
    def auto(self) -> str:
        """Name of the class of transformers that loads it."""
        return str(auto_class(self.form, self.model_config).__name__)


def snippet_base(plan: Plan) -> SnippetBase:
    """The base model of a plan."""
    model, has_head = plan.config.model, plan.form.name == "classification"
    padding = plan.form.tokenizer.pad_token_id if has_head else None
    return SnippetBase(
        plan.source,
        plan.model_config,
        plan.form.name,
        len(plan.labels) if has_head else None,
        model.revision,
        model.quantization,
        model.trust_remote_code,
        None if padding == plan.model_config.pad_token_id else padding,
        tuple(plan.labels) if has_head else (),
    )


def loader_snippet(
    base: SnippetBase, dtype: str, peft_type: str, *, folder: str = "adapter", also: Sequence[str] = ()
) -> str:
    """Python that loads an adapter with plain PEFT; the number of labels is part of the base's shape.

    Args:
        base: The base model.
        dtype: Of its weights, as Python writes it.
        peft_type: Of the adapter: our own types are registered by an import.
        folder: Where the adapter is.
        also: Further names of transformers that are imported, for lines that follow.
    """
    own = [_OWN_TYPES] if peft_type in set(LorettaPeftType) else []
    if base.source.gguf_file is not None:
        lines = _of_gguf(base, dtype, folder, also)
    else:
        lines = _of_folder(base, dtype, also, needs_loretta=bool(own))
    return "\n".join([*own, *lines, f'model = PeftModel.from_pretrained(loaded, "{folder}")'])


def _of_folder(base: SnippetBase, dtype: str, also: Sequence[str], *, needs_loretta: bool) -> list[str]:
    """Lines that load a folder, or a model of the hub, as ``loaded``.

    Args:
        base: The base model.
        dtype: Of its weights.
        also: Further names of transformers.
        needs_loretta: Whether the adapter does, so that it can find a bundled model, too.
    """
    name, taken = base.name, [base.auto, *also]
    note = "  # the folder of the base model" if base.source.is_local else ""
    named, first = f'base = "{name}"{note}', []
    if name.startswith("bundled:") and needs_loretta:
        first = ["from loretta_cli.models.source import find_model"]
        named = f'base = find_model("{name}").location'
    elif name.startswith("bundled:"):
        package, folder, _ = BUNDLED_WEIGHTS[name]
        first = ["from importlib.resources import files", ""]
        named = f'base = str(files("{package}") / "{folder}")  # {name}'
    options = [f"num_labels={base.labels}"] if base.labels is not None else []
    options += [f"id2label={dict(enumerate(base.label_names))}"] if base.label_names else []
    options += [f"pad_token_id={base.pad_token_id}"] if base.pad_token_id is not None else []
    options += [f"dtype={dtype}", *([f'revision="{base.revision}"'] if base.revision else [])]
    options += ["trust_remote_code=True"] if base.has_own_code else []
    quantizer = _quantizer(base, dtype)
    if quantizer:
        taken.append("BitsAndBytesConfig")
        options.append("quantization_config=quantizer")
    return [
        *first,
        "import torch",
        "from peft import PeftModel",
        f"from transformers import {', '.join(taken)}",
        "",
        named,
        *([f"quantizer = {quantizer}"] if quantizer else []),
        f"loaded = {base.auto}.from_pretrained(base, {', '.join(options)})",
    ]


def _of_gguf(base: SnippetBase, dtype: str, folder: str, also: Sequence[str]) -> list[str]:
    """Lines that load a GGUF file, of which transformers alone does not read all settings.

    Args:
        base: The base model.
        dtype: Of its weights.
        folder: Of the adapter, whose config would mislead transformers if the file lay beside it.
        also: Further names of transformers.
    """
    name = base.name
    note = "" if name.startswith("bundled:") else "  # the file of the base model"
    note += ", in another folder" if note and folder == "." else ""
    return [
        "import torch",
        "from loretta_cli.models.loading import load_config",
        "from loretta_cli.models.source import find_model",
        "from peft import PeftModel",
        f"from transformers import {', '.join([base.auto, *also, 'GgufConfig'])}",
        "",
        f'base = find_model("{name}"){note}',
        "config = load_config(base)",
        *([f"config.num_labels = {base.labels}"] if base.labels is not None else []),
        *([f"config.id2label = {dict(enumerate(base.label_names))}"] if base.label_names else []),
        *([f"config.pad_token_id = {base.pad_token_id}"] if base.pad_token_id is not None else []),
        "unpacked = GgufConfig(dequantize=True)",
        f"options = dict(gguf_file=base.gguf_file, quantization_config=unpacked, dtype={dtype})",
        f"loaded = {base.auto}.from_pretrained(base.folder, config=config, **options)",
    ]


def _quantizer(base: SnippetBase, dtype: str) -> str:
    """Python of the settings that the base is quantised with while it is loaded, or an empty string."""
    kind = base.quantization
    if kind is None or stored_quantization(base.model_config) is not None:
        return ""
    keep = f"llm_int8_skip_modules={kept_modules(base.model_config.model_type)}"
    if kind == "int8":
        return f"BitsAndBytesConfig(load_in_8bit=True, {keep})"
    return (
        f'BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="{kind}", bnb_4bit_use_double_quant=True,'
        f" bnb_4bit_compute_dtype={dtype}, {keep})"
    )
