"""Rows weigh the same in a training batch as in an evaluation."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import torch

from loretta_cli.artifacts.run_folder import create_run
from loretta_cli.config import load_config
from loretta_cli.planning.plan import load_base, make_plan, put_adapter
from loretta_cli.report import SilentReporter
from loretta_cli.training.gradients import BatchLoss
from loretta_cli.training.run import encode_rows, make_trainer
from loretta_cli.training.sampling import WEIGHT
from tests.tiny_folders import save_tiny_decoder


@pytest.mark.parametrize(
    "row", [{"text": "x"}, {"prompt": "the sun", "completion": "x"}], ids=["texts", "pairs"]
)
def test_the_loss_of_written_rows_is_that_of_an_evaluation(row: dict[str, str], tmp_path: Path) -> None:
    """Both count every token the same: a long row counts more than a short one."""
    column = list(row)[-1]
    lines = [json.dumps({**row, column: "the sun is warm " * number}) for number in (1, 2, 3, 9)]
    (tmp_path / "data").mkdir()
    for split in ("train", "validation"):
        (tmp_path / "data" / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    flags = {
        "model.name": str(save_tiny_decoder(tmp_path / "decoder")),
        "task.name": "language-modeling" if column == "text" else "generation",
        "data.source": str(tmp_path / "data"),
        "data.protocol": "paper",
        "training.select_by": "loss",
    }
    settings = () if column == "text" else ("task.max_new_tokens=4",)
    plan = make_plan(load_config(None, flags, settings).config)
    adapted = put_adapter(plan, load_base(plan))
    rows = encode_rows(plan, SilentReporter())
    run = create_run(tmp_path / "run", adapted.config, overwrite=False)
    trainer = make_trainer(plan, adapted, rows, run, SilentReporter(), None, taken=0)
    (batch,) = trainer.get_train_dataloader()
    with torch.no_grad():
        weights = batch.pop(WEIGHT)
        model = adapted.model.eval()
        loss = float(BatchLoss(model, plan.form, batch, weights, contextlib.nullcontext)())
        plain = plan.form.losses(model, batch).mean()
    assert loss == pytest.approx(trainer.evaluation(adapted.model)["loss"], abs=1e-5)
    assert abs(float(plain) - loss) > 1e-3, "the mean of the rows is another number"
