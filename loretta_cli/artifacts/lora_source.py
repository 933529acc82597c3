"""A LoRA on disk, as PEFT or ``loretta train --method lora`` wrote it: found, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import load_file

from loretta_cli.artifacts.adapter_files import SETTINGS, WEIGHTS, check_adapter_files
from loretta_cli.artifacts.base_location import check_base_is_there
from loretta_cli.artifacts.fingerprint import check_adapter
from loretta_cli.artifacts.lora_settings import read_lora_settings
from loretta_cli.artifacts.run_folder import RunFolder, find_run
from loretta_cli.errors import ConfigError, RunError
from loretta_cli.tuners.rep.from_lora import Update, lora_updates


@dataclass(frozen=True, slots=True)
class LoraSource:
    """A LoRA.

    Args:
        name: Of its folder, as cards say it.
        folder: With its config and tensors.
        run: The run that trained it; None for an adapter of PEFT alone.
        config: Its settings.
        updates: What it adds to each layer.
        saved: Its tensors of modules that are saved whole, by their names in the file.
        bytes: Of the file with its tensors.
    """

    name: str
    folder: Path
    run: RunFolder | None
    config: LoraConfig
    updates: Mapping[str, Update]
    saved: Mapping[str, torch.Tensor]
    bytes: int

    @property
    def update_parameters(self) -> int:
        """How many numbers its pairs of matrices have."""
        return sum(left.numel() + right.numel() for left, right in self.updates.values())

    @property
    def trainable_parameters(self) -> int:
        """How many numbers it has, those of modules saved whole included."""
        return self.update_parameters + sum(tensor.numel() for tensor in self.saved.values())


def find_lora(path: Path, *, base: str | None = None) -> LoraSource:
    """Read a LoRA.

    Args:
        path: A run folder, or a folder in PEFT's layout.
        base: Where the base model of a run is now, if it was moved.

    Raises:
        RunError: If there is none, or its files are broken.
        ConfigError: If it is another adapter, or more than a plain LoRA on linear layers.
    """
    if (path / SETTINGS).is_file():
        return _read(path, path.resolve().name, None)
    if not (path / "config.yaml").is_file():
        raise RunError(
            f"The folder {path} has neither {SETTINGS} nor the config.yaml of a run.",
            hint="Give the folder of a LoRA, as save_pretrained wrote it, or of a run with --method lora.",
        )
    run = find_run(path, base=base).last_stage
    method = run.read_config().adapter.method
    if method != "lora":
        raise ConfigError(
            f"Only a LoRA is compressed; this run is {method}.", hint="Train with --method lora."
        )
    check_base_is_there(run)
    check_adapter(run)
    return _read(run.adapter, path.resolve().name, run)


def _read(folder: Path, name: str, run: RunFolder | None) -> LoraSource:
    check_adapter_files(folder)
    config = read_lora_settings(folder)
    file = folder / WEIGHTS
    try:
        tensors = load_file(file)
    except Exception as error:  # safetensors has kinds of its own
        raise RunError(
            f"The file {file} cannot be read: {' '.join(str(error).split())}",
            hint="It is damaged or cut short; get it again.",
        ) from error
    updates, saved = lora_updates(config, tensors)
    return LoraSource(name, folder, run, config, updates, saved, file.stat().st_size)
