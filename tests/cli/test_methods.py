"""Every method through the command line: trained, evaluated, and taken up again after a stop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from loretta_cli.methods import METHODS
from tests.cli.conftest import FEW_STEPS, Workplace
from tests.command_line import loretta

OF_AN_ENCODER = sorted(set(METHODS) - {"adp", "rep"})
OF_A_DECODER = sorted({*OF_AN_ENCODER} - {"bitfit", "head"})


@pytest.mark.parametrize(
    ("model", "method"),
    [
        *(("encoder", method) for method in OF_AN_ENCODER),
        *(("decoder", method) for method in OF_A_DECODER),
    ],
)
def test_a_run_is_evaluated_and_resumed_as_it_was(
    workplace: Workplace, tmp_path: Path, model: str, method: str
) -> None:
    run = tmp_path / "run"
    outcome = loretta(
        *("train", "--model", getattr(workplace, model), "--method", method, "--task", "sst2"),
        *("--data", workplace.sentences, "--output", run, "--json", *FEW_STEPS),
    )
    assert outcome.exit_code == 0, outcome.stderr
    metrics = outcome.document["metrics"]

    saved = json.loads((run / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    card = (run / "README.md").read_text(encoding="utf-8")
    assert ("import loretta_cli.tuners" in card) == saved["peft_type"].startswith("LORETTA")

    (evaluated,) = loretta("eval", run, "--json").document["results"]
    assert evaluated["metrics"] == pytest.approx(metrics, abs=1e-6)

    (run / "report.json").unlink()
    shutil.rmtree(run / "adapter")
    shutil.rmtree(run / "checkpoints" / "checkpoint-6")
    resumed = loretta("train", "--output", run, "--resume", "--json")
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.document["metrics"] == pytest.approx(metrics, abs=1e-6)


@pytest.mark.parametrize("method", ["bitfit", "full", "head", "ia3", "vera"])
def test_a_run_of_a_method_of_weights_merges(workplace: Workplace, tmp_path: Path, method: str) -> None:
    trained = loretta(
        *("train", "--model", workplace.encoder, "--method", method, "--task", "sst2"),
        *("--data", workplace.sentences, "--output", tmp_path / "run", *FEW_STEPS),
    )
    assert f"  loretta merge {tmp_path / 'run'} --output " in trained.stdout
    assert "loretta export" not in trained.stdout

    merged = loretta("merge", tmp_path / "run", "--output", tmp_path / "merged", "--json")
    assert merged.exit_code == 0, merged.stderr
    assert merged.document["max_abs_logit_difference"] <= 1e-4
    assert merged.document["task"] == "sst2"


@pytest.mark.parametrize("method", ["adapters", "p-tuning", "prefix", "prompt"])
def test_a_run_of_another_method_does_not_merge(workplace: Workplace, tmp_path: Path, method: str) -> None:
    loretta(
        *("train", "--model", workplace.encoder, "--method", method, "--task", "sst2"),
        *("--data", workplace.sentences, "--output", tmp_path / "run", *FEW_STEPS),
    )

    merged = loretta("merge", tmp_path / "run", "--output", tmp_path / "merged")
    assert merged.exit_code == 2
    assert "cannot be merged" in merged.stderr
    assert not (tmp_path / "merged").exists()
