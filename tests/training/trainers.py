"""Trainers of a tiny encoder on sixteen rows, for the tests of the training loop and of its settings.

Imports no pytest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from loretta_cli.artifacts.metrics_log import MetricsLog
from loretta_cli.artifacts.run_folder import RunFolder, create_run
from loretta_cli.config import load_config
from loretta_cli.planning.plan import AdaptedModel, Plan, load_base, make_plan, put_adapter
from loretta_cli.report import SilentReporter
from loretta_cli.training.run import encode_rows, make_trainer, train
from loretta_cli.training.trainer import AdapterTrainer
from tests.command_line import metric_records, write_sentences

ROWS = 16
PLAIN = ("training.warmup=0", "training.scheduler=constant", "training.max_grad_norm=0")
"""Nothing between the gradient and the optimizer."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A trainer that is about to start."""

    plan: Plan
    adapted: AdaptedModel
    trainer: AdapterTrainer

    def parameters(self) -> dict[str, torch.Tensor]:
        """A copy of what trains."""
        named = self.adapted.model.named_parameters()
        return {name: value.detach().clone() for name, value in named if value.requires_grad}


def make_place(folder: Path) -> Path:
    """Sixteen rows, and an encoder without dropout, in ``folder``."""
    from tests.tiny_folders import save_tiny_encoder

    save_tiny_encoder(folder / "encoder")
    file = folder / "encoder" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    file.write_text(json.dumps(config), encoding="utf-8")
    write_sentences(folder / "sentences", train=ROWS, validation=6)
    return folder


def config_of(place: Path, *settings: str, method: str = "rep") -> Any:
    flags = {
        "model.name": str(place / "encoder"),
        "task.name": "sst2",
        "data.source": str(place / "sentences"),
        "data.protocol": "paper",
        "adapter.method": method,
    }
    return load_config(None, flags, settings).config


def ready(place: Path, tmp_path: Path, *settings: str, method: str = "rep") -> Ready:
    plan = make_plan(config_of(place, *settings, method=method))
    adapted = put_adapter(plan, load_base(plan))
    rows = encode_rows(plan, SilentReporter())
    run = create_run(tmp_path / "run", adapted.config, overwrite=False)
    log = MetricsLog(run.metrics_file)
    return Ready(plan, adapted, make_trainer(plan, adapted, rows, run, SilentReporter(), log, taken=0))


def run_of(place: Path, folder: Path, *settings: str, method: str = "rep") -> RunFolder:
    train(config_of(place, *settings, method=method), folder, SilentReporter())
    return RunFolder(folder)


def pairs(one: Ready, other: Ready) -> list[tuple[torch.Tensor, torch.Tensor]]:
    first, second = one.parameters(), other.parameters()
    assert first.keys() == second.keys()
    return [(first[name], second[name]) for name in first]


def logged(run: RunFolder, name: str) -> list[float]:
    return [record[name] for record in metric_records(run.path) if record["split"] == "train"]
