"""Rebuilding an adapter from the trajectory of its training, without a model and without a forward pass.

The start adapter, the seed and the projected gradients say all (MeZO, Section 2.1). The arithmetic is that of
the training, operation by operation, so on the same kind of machine the result is the same bit for bit.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PromptEncoderConfig
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Trainer, TrainingArguments

from loretta_cli.artifacts.checkpoints import name_of
from loretta_cli.artifacts.files import new_folder, sha256
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.errors import ConfigError, RunError
from loretta_cli.numerals import counted
from loretta_cli.training.arguments import OPTIMIZERS, optimizer_options
from loretta_cli.training.gradients.directions import direction
from loretta_cli.training.gradients.estimates import estimate
from loretta_cli.training.gradients.in_place import IN_PLACE, follow_in_place
from loretta_cli.training.gradients.trajectory import Header, Record, Trajectory, finite
from loretta_cli.training.gradients.vector import WEIGHTS, ParameterVector
from loretta_cli.tuners.virtual_tokens import TOKENS, made_tokens

ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What was rebuilt.

    Args:
        output: The folder; its ``adapter`` is in PEFT's layout.
        step: Steps that the adapter has behind it.
        verified: Whether it is, bit for bit, what the run saved after that step; None if it saved nothing.
        compared_with: What the run saved, or None.
    """

    output: str
    step: int
    verified: bool | None
    compared_with: str | None

    def as_json(self) -> dict[str, Any]:
        """The fields of the document."""
        return asdict(self)


def replay(run: RunFolder, output: Path | None, *, to: int | None = None) -> ReplayReport:
    """Rebuild the adapter of a run as it was after some step.

    Args:
        run: Of a zeroth-order training, finished or not.
        output: A new folder for it; None for one inside the run.
        to: How many steps; None for those of the finished adapter, or else for all.

    Raises:
        ConfigError: If the run has not as many steps.
        RunError: If trajectory or start adapter are missing or broken.
    """
    header, records = Trajectory(run.trajectory).read()
    best = run.read_report()["best_step"] if run.finished else None
    step = to if to is not None else (best if best is not None else len(records))
    if to is None and step > len(records):
        raise RunError(
            f"The adapter of the run {run.path} is of step {step}, but its trajectory {run.trajectory} has "
            f"{counted(len(records), 'step')}.",
            hint="The file was cut; put it back.",
        )
    if step > len(records):
        raise ConfigError(
            f"--to is {step}, but the trajectory of the run {run.path} has {counted(len(records), 'step')}.",
            hint=f"Give a number of steps from 0 to {len(records)}, or leave --to out.",
        )
    target = output or run.path / f"replay-{step}"
    with new_folder(target) as folder:
        (folder / "adapter").mkdir()
        shutil.copy2(run.config_file, folder / run.config_file.name)
        _rebuild(run, header, records[:step], folder / "adapter")
    saved = run.checkpoints / name_of(step) if step else run.start
    saved = run.adapter if step == best else saved
    rebuilt, original = target / "adapter" / WEIGHTS, saved / WEIGHTS
    if not original.is_file():
        return ReplayReport(str(target), step, None, None)
    return ReplayReport(str(target), step, sha256(rebuilt) == sha256(original), str(saved))


def _rebuild(run: RunFolder, header: Header, records: list[Record], folder: Path) -> None:
    """Write the adapter after some records."""
    start = run.start / WEIGHTS
    for needed in (run.start / ADAPTER_CONFIG, start):
        if not needed.is_file():
            name = needed.relative_to(run.path)
            raise RunError(
                f"The run {run.path} has no {name}, of the adapter before its first step.",
                hint="Put it back; without it, nothing can be rebuilt from the trajectory.",
            )
    try:
        shutil.copy2(run.start / ADAPTER_CONFIG, folder / ADAPTER_CONFIG)
        tensors = load_file(start)
        with safe_open(start, framework="pt") as file:
            metadata = file.metadata()
        trained = {name: nn.Parameter(tensors[name]) for name in header.parameters}
        config = PeftConfig.from_pretrained(str(folder))
        if config.peft_type is None:
            raise ValueError(f"{ADAPTER_CONFIG} names no peft_type")
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise RunError(
            f"The start adapter in {run.start} of the run is broken: {' '.join(str(error).split())}.",
            hint="Without it, nothing can be rebuilt from the trajectory.",
        ) from error
    if wrong := [name for name, size in header.parameters.items() if trained[name].numel() != size]:
        raise RunError(
            f"{wrong[0]} has {trained[wrong[0]].numel()} numbers in {start}, and "
            f"{header.parameters[wrong[0]]} in the trajectory.",
            hint="One of the two files was changed or belongs to another run.",
        )
    follow(header, records, trained)
    tensors |= {name: parameter.detach().clone() for name, parameter in trained.items()}
    if isinstance(config, PromptEncoderConfig):
        tensors[TOKENS] = made_tokens(config, tensors)
    save_file(tensors, folder / WEIGHTS, metadata=metadata)


def follow(header: Header, records: list[Record], trained: dict[str, nn.Parameter]) -> None:
    """Take the steps of some records.

    Args:
        header: Of their trajectory.
        records: From the first step on.
        trained: By the names of the header, as they were at the start; changed in place.
    """
    vector = ParameterVector(trained)
    if header.backend == IN_PLACE:
        follow_in_place(header, records, vector)
        return
    optimizer = _optimizer(header, trained)
    targets = {record.to for record in records}
    points: dict[int, torch.Tensor] = {}
    for record in records:
        theta = vector.read()
        if record.step in targets:
            points[record.step] = theta.clone()
        if record.event == "rollback":
            assert record.to is not None, "a rollback goes somewhere"
            theta = points[record.to].clone()
            optimizer.state.clear()
        vector.become(theta)
        if finite(record.g):
            drawn = functools.partial(_direction, header, record.step)
            vector.set_gradient(estimate(record, drawn, theta))
        for group in optimizer.param_groups:
            group["lr"] = record.lr
        optimizer.step()
        optimizer.zero_grad()


def _direction(header: Header, step: int, query: int) -> torch.Tensor:
    size = sum(header.parameters.values())
    return direction(header.seed, step, query, size, header.distribution)


def _optimizer(header: Header, trained: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer that Trainer makes for such settings."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            optim=OPTIMIZERS[header.optimizer],
            optim_args=optimizer_options(header.optimizer_options.momentum),
            report_to="none",
        )
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    decayed = [one for name, one in trained.items() if name not in header.undecayed]
    others = [one for name, one in trained.items() if name in header.undecayed]
    groups = [
        {"params": decayed, "weight_decay": header.optimizer_options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    made: torch.optim.Optimizer = kind([group for group in groups if group["params"]], **options)
    return made
