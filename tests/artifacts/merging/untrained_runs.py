"""Run folders whose adapter was never trained: a tiny model's folder and random numbers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import load_config, write_config
from loretta_cli.planning.plan import load_base, make_plan, put_adapter
from loretta_cli.report import SilentReporter
from tests.command_line import write_sentences
from tests.tiny_folders import decoder_tokenizer, encoder_decoder_tokenizer, encoder_tokenizer
from tests.tiny_models import TASK_TYPES, tiny_model

POSITIONS = 130


def save_base(
    folder: Path,
    family: str,
    *,
    bare: bool = False,
    dtype: torch.dtype = torch.float32,
    shard_size: int | str = "1GB",
    **settings: Any,
) -> Path:
    """Write a tiny model of a family with a tokenizer.

    Args:
        folder: Where to.
        family: A name of ``tests.tiny_models``.
        bare: Without its head.
        dtype: Of the weights.
        shard_size: The most of a file.
        settings: Of its config, that differ from the tiny ones.
    """
    tokenizer = _tokenizer(family)
    sizes: dict[str, Any] = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    places = {"gpt2": "n_positions", "gpt2-classifier": "n_positions", "bloom": None, "t5": None}
    if (name := places.get(family, "max_position_embeddings")) and not family.startswith("t5"):
        sizes[name] = POSITIONS
    model = with_biases(tiny_model(family, dtype=dtype, **sizes | settings))
    (model.base_model if bare else model).save_pretrained(folder, max_shard_size=shard_size)
    tokenizer.save_pretrained(folder)
    return folder


def with_biases(model: Any) -> Any:
    """A tiny model with random biases: as they are made, all are zero, and scaling them shows nothing."""
    generator = torch.Generator().manual_seed(2)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
    return model


def _tokenizer(family: str) -> Any:
    if family.startswith("t5"):
        return encoder_decoder_tokenizer()
    return encoder_tokenizer() if TASK_TYPES[family] == "SEQ_CLS" else decoder_tokenizer()


def make_run(folder: Path, base: Path, *settings: str, method: str = "rep", scale: float = 0.3) -> RunFolder:
    """A run on sst2 with random numbers wherever the method trains.

    Args:
        folder: Of the run.
        base: Folder of the model.
        settings: ``key=value``.
        method: The method.
        scale: Of the random numbers.
    """
    rows = folder.parent / "sentences"
    if not rows.exists():
        write_sentences(rows)
    flags: dict[str, Any] = {"model.name": str(base), "task.name": "sst2", "data.source": str(rows)}
    plan = make_plan(load_config(None, flags | {"adapter.method": method}, list(settings)).config)
    with torch.random.fork_rng():
        adapted = put_adapter(plan, load_base(plan))
        torch.manual_seed(1)
        for parameter in adapted.model.parameters():
            if parameter.requires_grad:
                parameter.data += scale * torch.randn_like(parameter)
    run = RunFolder(folder)
    shutil.rmtree(folder, ignore_errors=True)
    adapted.model.save_pretrained(str(run.adapter), save_embedding_layers=False)
    plan.form.tokenizer.save_pretrained(run.adapter)
    write_config(adapted.config, run.config_file)
    return run


class Notes(SilentReporter):
    """A reporter that remembers its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Remember one."""
        self.notes.append(text)


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of the safetensors files of a folder."""
    found: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= load_file(file)
    return found
