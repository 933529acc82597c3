"""``loretta eval``: a run or a model as it is, on a split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.command_line import files_below, loretta, sentence


@pytest.mark.parametrize("name", ["rep_run", "adp_run", "prompt_run"])
def test_a_run_gets_the_metrics_that_its_report_has(name: str, request: pytest.FixtureRequest) -> None:
    run: FinishedRun = request.getfixturevalue(name)
    report = json.loads((run.path / "report.json").read_text(encoding="utf-8"))
    before = files_below(run.path)

    document = loretta("eval", run.path, "--json").document

    (result,) = document["results"]
    assert document["schema_version"] == 1
    assert result["metrics"] == pytest.approx(report["metrics"], abs=1e-6)
    assert result["split"] == "validation"
    assert result["main_metric"] == "accuracy"
    assert files_below(run.path) == before, "an evaluation writes nothing"


def test_the_table_goes_to_stdout(rep_run: FinishedRun) -> None:
    outcome = loretta("eval", rep_run.path)

    assert outcome.exit_code == 0
    assert "sst2, validation split, 10 rows" in outcome.stdout
    assert "accuracy" in outcome.stdout
    assert outcome.stderr == ""


def test_the_train_split_is_that_of_the_run(rep_run: FinishedRun, adp_run: FinishedRun) -> None:
    (whole,) = loretta("eval", rep_run.path, "--split", "train", "--json").document["results"]
    (share,) = loretta("eval", adp_run.path, "--split", "train", "--json").document["results"]

    assert (whole["split"], whole["rows"]) == ("train", 24)
    assert share["rows"] == 27, "30 rows, of which a tenth was held out"


def test_rows_limits_the_rows(rep_run: FinishedRun) -> None:
    (result,) = loretta("eval", rep_run.path, "--rows", 4, "--json").document["results"]

    assert result["rows"] == 4


def test_another_file_counts_whole(adp_run: FinishedRun, tmp_path: Path) -> None:
    moods = ("angry", "calm", "glad")
    lines = [f"{sentence(number)[0]},{moods[number % 3]}" for number in range(40, 53)]
    (tmp_path / "test.csv").write_text("\n".join(["message,mood", *lines]), encoding="utf-8")

    (result,) = loretta("eval", adp_run.path, "--data", tmp_path / "test.csv", "--json").document["results"]

    assert result["rows"] == 13


def test_another_file_with_an_unknown_label_is_refused(adp_run: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("message,mood\nthe film,angry\nthe story,furious\n", encoding="utf-8")

    outcome = loretta("eval", adp_run.path, "--data", tmp_path / "test.csv")

    assert outcome.exit_code == 2
    assert "line 3, column 'mood': found the label 'furious'" in outcome.stderr


def test_a_language_model_is_scored_zero_shot(workplace: Workplace) -> None:
    arguments = ("--model", workplace.decoder, "--task", "sst2", "--data", workplace.sentences)

    (result,) = loretta("eval", *arguments, "--json").document["results"]

    assert (result["task"], result["rows"]) == ("sst2", 10)
    assert 0 <= result["metrics"]["accuracy"] <= 1


def test_a_runs_language_model_is_scored_with_its_adapter(
    workplace: Workplace, prompt_run: FinishedRun
) -> None:
    arguments = ("--model", workplace.decoder, "--task", "sst2", "--data", workplace.sentences)
    (before,) = loretta("eval", *arguments, "--json").document["results"]
    (after,) = loretta("eval", prompt_run.path, "--json").document["results"]

    assert after["rows"] == before["rows"]
    assert after["metrics"]["loss"] != before["metrics"]["loss"]


def test_an_encoder_without_a_trained_head_is_refused(workplace: Workplace) -> None:
    outcome = loretta(
        "eval", "--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences, "--json"
    )

    assert outcome.exit_code == 2
    assert "no weights for classifier" in outcome.document["error"]["message"]


def test_a_merged_model_is_evaluated_as_a_model(
    rep_run: FinishedRun, workplace: Workplace, tmp_path: Path
) -> None:
    assert loretta("merge", rep_run.path, "--output", tmp_path / "merged").exit_code == 0
    arguments = ("--model", tmp_path / "merged", "--task", "sst2", "--data", workplace.sentences)

    (merged,) = loretta("eval", *arguments, "--json").document["results"]
    (run,) = loretta("eval", rep_run.path, "--json").document["results"]

    assert merged["metrics"] == pytest.approx(run["metrics"], abs=1e-5)


def test_a_merged_classifier_keeps_its_own_order_of_labels(workplace: Workplace, tmp_path: Path) -> None:
    lines = [f"{sentence(number)[0]},{('neg', 'pos')[sentence(number)[1]]}" for number in range(40)]
    data = tmp_path / "reviews.csv"
    data.write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    source = ("--model", workplace.encoder, "--task", "classification", "--data", data)
    settings = ("data.labels=[pos, neg]", "training.max_steps=4", "training.learning_rate=0.02")
    flags = [part for setting in settings for part in ("--set", setting)]
    assert loretta("train", *source, *flags, "--output", tmp_path / "run").exit_code == 0
    assert loretta("merge", tmp_path / "run", "--output", tmp_path / "merged").exit_code == 0

    (of_run,) = loretta("eval", tmp_path / "run", "--data", data, "--json").document["results"]
    merged = ("eval", "--model", tmp_path / "merged", "--task", "classification", "--data", data, "--json")
    (of_model,) = loretta(*merged).document["results"]

    assert of_model["rows"] == of_run["rows"] == 40
    assert of_model["metrics"] == pytest.approx(of_run["metrics"], abs=1e-5), (
        "as does the loss, label by label"
    )


def test_truncated_rows_are_told_in_the_report_the_card_and_the_evaluation(
    workplace: Workplace, tmp_path: Path
) -> None:
    asked = ("--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences, *FEW_STEPS)
    run = tmp_path / "run"
    trained = loretta("train", *asked, "--set", "data.max_length=8", "--output", run, "--json")
    assert trained.exit_code == 0, trained.stderr
    report = trained.document
    count = report["shortened"]
    assert 0 < count <= report["rows"] == 10
    assert report["ties"] == 0
    card = (run / "README.md").read_text(encoding="utf-8")
    assert f"Of the reported rows, {count} were truncated, and in 0 the two best options" in card
    assert f"{count} of 10 rows were too long and were truncated" in loretta("eval", run).stderr


def test_the_checkpoints_of_a_run_are_scored(workplace: Workplace, tmp_path: Path) -> None:
    asked = ("--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences, *FEW_STEPS)
    rate = ("--set", "training.learning_rate=0.05", "--set", "data.protocol=paper")
    run = tmp_path / "run"
    assert loretta("train", *asked, *rate, "--output", run).exit_code == 0
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    said = {line["step"]: line for line in map(json.loads, lines) if line.get("split") == "validation"}
    (run / "report.json").unlink()
    (run / "adapter").rename(run / "gone")  # as it is while a run trains

    best = max(said, key=lambda step: (said[step]["accuracy"], -said[step]["loss"]))
    for which, step in (("last", 6), ("best", best)):
        (result,) = loretta("eval", run, "--checkpoint", which, "--json").document["results"]
        assert result["metrics"] == pytest.approx({name: said[step][name] for name in result["metrics"]})
    assert said[3]["loss"] != said[6]["loss"]
    unfinished = loretta("eval", run)
    assert unfinished.exit_code == 2
    assert "--checkpoint best" in unfinished.stderr


def test_a_checkpoint_of_a_model_is_refused(workplace: Workplace, rep_run: FinishedRun) -> None:
    model = ("--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences)
    outcome = loretta("eval", *model, "--checkpoint", "last")
    assert outcome.exit_code == 2
    assert "--checkpoint is for a run" in outcome.stderr
    assert "Did you mean 'last'?" in loretta("eval", rep_run.path, "--checkpoint", "lst").stderr
