"""The launcher's configurations on two GPUs: what a CPU cannot show. Skipped, with a reason, without them."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest
import torch

from tests.command_line import REPOSITORY, child_environment, loretta, metric_records, write_sentences

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs; this machine has fewer"),
]
NEEDS_DEEPSPEED = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None, reason="deepspeed is not installed"
)
TOLERANCE = 1e-3
"""Kernels of other batch sizes round otherwise."""


@pytest.mark.parametrize(
    "configuration", ["ddp", "fsdp", pytest.param("deepspeed-zero3", marks=NEEDS_DEEPSPEED)]
)
@pytest.mark.parametrize("method", ["adp", "rep"])
def test_two_gpus_give_the_losses_of_one(configuration: str, method: str, tmp_path: Path) -> None:
    from tests.tiny_folders import save_tiny_decoder

    save_tiny_decoder(tmp_path / "model")
    write_sentences(tmp_path / "data", train=24, validation=9)
    settings = (
        "training.max_steps=12",
        "training.batch_size=4",
        "training.evaluate_every=4",
        "training.log_every=1",
    )
    train = [
        *("train", "--model", str(tmp_path / "model"), "--task", "sst2", "--data", str(tmp_path / "data")),
        *("--method", method, *(part for setting in settings for part in ("--set", setting))),
    ]
    assert loretta(*train, "--output", tmp_path / "one").exit_code == 0

    config = REPOSITORY / "recipes" / "accelerate" / f"{configuration}.yaml"
    done = subprocess.run(
        [
            *("accelerate", "launch", "--config_file", str(config), "-m", "loretta_cli"),
            *(*train, "--output", str(tmp_path / "two")),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=child_environment(),
        timeout=600,
    )
    assert done.returncode == 0, done.stderr

    for record, expected in zip(
        metric_records(tmp_path / "two"), metric_records(tmp_path / "one"), strict=True
    ):
        assert (record["step"], record["split"]) == (expected["step"], expected["split"])
        assert record["loss"] == pytest.approx(expected["loss"], abs=TOLERANCE)
    outcome = loretta("eval", tmp_path / "two", "--json")
    assert outcome.exit_code == 0, outcome.stderr
