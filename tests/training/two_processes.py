"""What ``test_distributed.py`` starts with torchrun: commands of ``loretta``, one after another.

``torchrun --nproc-per-node 2 two_processes.py PLAN FOLDER``. PLAN is a JSON list of commands, each a list of
words; a first word ``die@N`` kills the second process in step N of the command, ``fail@N`` lets it raise an
error there, ``stop@N`` sends it SIGTERM, ``save@N`` lets it ask for a checkpoint. Each process leaves in
FOLDER what its commands wrote, and what its model was when training ended.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor

import loretta_cli.evaluation.run
import loretta_cli.training.run
from loretta_cli.cli.app import main
from loretta_cli.errors import TrainingError
from loretta_cli.training.trainer import AdapterTrainer
from tests.rendering import curves_rendered_once

RANK = os.environ["RANK"]
own_step, own_train = AdapterTrainer.training_step, AdapterTrainer.train
trouble = ""
models: list[dict[str, Any]] = []


def step(trainer: Any, *arguments: Any, **options: Any) -> Any:
    """Trainer's step, with the trouble that was ordered."""
    kind, _, number = trouble.partition("@")
    if kind and RANK == "1" and trainer.state.global_step == int(number):
        if kind == "save":
            (Path(trainer.args.output_dir).parent / "save").touch()
            return own_step(trainer, *arguments, **options)
        if kind == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "stop":
            os.kill(os.getpid(), signal.SIGTERM)
            return own_step(trainer, *arguments, **options)
        raise TrainingError("This process alone is out of memory.", hint="Lower training.batch_size.")
    return own_step(trainer, *arguments, **options)


def train(trainer: Any, *arguments: Any, **options: Any) -> Any:
    """Trainer's train, noting the model at its end."""
    result = own_train(trainer, *arguments, **options)
    trained, held, whole = hashlib.sha256(), 0, 0
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            trained.update(parameter.detach().numpy().tobytes())
            continue
        whole += parameter.numel()
        held += parameter.to_local().numel() if isinstance(parameter, DTensor) else parameter.numel()
    models.append({"trained": trained.hexdigest(), "held": held, "whole": whole})
    return result


def run(command: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["loretta", *command]
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return code, stdout.getvalue(), stderr.getvalue()


if __name__ == "__main__":
    torch.set_num_threads(1)
    AdapterTrainer.training_step, AdapterTrainer.train = step, train  # type: ignore[method-assign]
    # A process connects once: what one command leaves in the launcher's table confuses the next connection.
    loretta_cli.training.run.disconnect = loretta_cli.evaluation.run.disconnect = lambda: None
    gc.freeze()  # or every run searches all the libraries for garbage
    plan, folder = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    outcomes = []
    for words in plan:
        trouble = words.pop(0) if "@" in words[0] else ""
        with curves_rendered_once():
            outcomes.append(run(words))
        told = json.dumps({"outcomes": outcomes, "models": models})
        (folder / f"rank{RANK}.json").write_text(told, encoding="utf-8")
        if outcomes[-1][0] and not trouble.startswith("stop"):
            sys.exit(outcomes[-1][0])
