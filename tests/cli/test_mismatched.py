"""MNLI's second validation set: reported beside the first one, and evaluated by its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import FEW_STEPS, Workplace
from tests.command_line import loretta

SPLITS = {"train": 24, "validation_matched": 8, "validation_mismatched": 5}


@pytest.fixture(scope="module")
def mnli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mnli")
    for split, rows in SPLITS.items():
        lines = [
            {"premise": f"the {split} sky is blue", "hypothesis": f"it is day {row}", "label": row % 3}
            for row in range(rows)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return folder


def test_training_reports_both_sets_and_evaluation_either(
    workplace: Workplace, mnli: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    asked = ("--model", workplace.encoder, "--task", "mnli", "--data", mnli, *FEW_STEPS)
    trained = loretta("train", *asked, "--set", "data.validation_rows=4", "--output", run, "--json")
    assert trained.exit_code == 0, trained.stderr
    metrics = trained.document["metrics"]
    assert set(metrics) == {"accuracy", "loss", "accuracy_mismatched", "loss_mismatched"}
    assert trained.document["rows"] == 4

    for split, rows, ending in (("validation", 4, ""), ("validation_mismatched", 4, "_mismatched")):
        (result,) = loretta("eval", run, "--split", split, "--json").document["results"]
        assert (result["split"], result["rows"]) == (split, rows)
        for name in ("accuracy", "loss"):
            assert result["metrics"][name] == pytest.approx(metrics[name + ending], rel=1e-5)


def test_a_data_folder_without_the_second_set_is_told(
    workplace: Workplace, mnli: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mnli"
    folder.mkdir()
    for split in ("train", "validation_matched"):
        (folder / f"{split}.jsonl").write_bytes((mnli / f"{split}.jsonl").read_bytes())
    run = tmp_path / "run"
    asked = ("--model", workplace.encoder, "--task", "mnli", "--data", folder, *FEW_STEPS)
    trained = loretta("train", *asked, "--output", run, "--json")
    assert set(trained.document["metrics"]) == {"accuracy", "loss"}
    refused = loretta("eval", run, "--split", "validation_mismatched")
    assert refused.exit_code == 2
    assert "has no validation_mismatched file" in refused.stderr
