"""PEFT's own methods by forward passes, also in half precision: resumed, replayed and evaluated again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loretta_cli.training.gradients.trajectory import Trajectory
from tests.command_line import loretta
from tests.zeroth_order_runs import WEIGHTS, ZoRun, make_place

BF16 = "model.dtype=bfloat16"
COMMON = (
    "zo.epsilon=0.05",
    "training.learning_rate=0.05",
    "training.scheduler=constant",
    "training.warmup=0",
)
KINDS = {
    "lora, bf16, a new head": ZoRun((*COMMON, BF16), "lora", steps=6, every=3),
    "prefix, bf16, a new head": ZoRun((*COMMON, BF16), "prefix", steps=6, every=3),
    "p-tuning, bf16, a new head": ZoRun((*COMMON, BF16), "p-tuning", steps=6, every=3),
    "p-tuning, prompts": ZoRun(COMMON, "p-tuning", "decoder", steps=6, every=3),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("methods"))


def done(*arguments: object) -> Any:
    outcome = loretta(*arguments)
    assert outcome.exit_code == 0, outcome.stderr
    return outcome


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_run_is_replayed_and_evaluated_as_it_was_and_resumed_to_the_same_bytes(
    kind: ZoRun, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, cut = tmp_path / "whole", tmp_path / "cut"
    document = done(*kind.command(place, run), "--json").document
    start, end = (load_file(run / part / WEIGHTS) for part in ("start", "checkpoints/checkpoint-6"))

    assert {value.dtype for value in end.values()} == {torch.float32}
    header, _ = Trajectory(run / "trajectory.jsonl").read()
    assert all(not torch.equal(start[name], end[name]) for name in header.parameters)
    for step in (0, 3, 6):
        output = tmp_path / f"replayed-{step}"
        verified = done("replay", run, "--to", step, "--output", output, "--json").document["verified"]
        assert verified is True
    assert (tmp_path / "replayed-0" / "adapter" / WEIGHTS).read_bytes() == (
        run / "start" / WEIGHTS
    ).read_bytes()
    (result,) = done("eval", run, "--json").document["results"]
    assert result["metrics"]["loss"] == pytest.approx(document["metrics"]["loss"], abs=1e-6)

    append = Trajectory.append

    def stopped(self: Trajectory, record: Any) -> None:
        append(self, record)
        if record.step + 1 == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trajectory, "append", stopped)
        assert loretta(*kind.command(place, cut)).exit_code == 130
    assert "resuming after step 3" in done("train", "--output", cut, "--resume").stderr
    for name in ("trajectory.jsonl", f"adapter/{WEIGHTS}", f"checkpoints/checkpoint-6/{WEIGHTS}"):
        assert (cut / name).read_bytes() == (run / name).read_bytes(), name
