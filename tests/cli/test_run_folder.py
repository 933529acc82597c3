"""What ``loretta train`` leaves in a run folder, and that it loads elsewhere."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import FinishedRun, Workplace
from tests.cli.logits import card_logits, card_snippet, run_logits
from tests.command_line import files_below, loretta, metric_records

CONTRACT_FILES = (
    "README.md",
    "adapter/adapter_config.json",
    "adapter/adapter_model.safetensors",
    "best/adapter_config.json",
    "best/adapter_model.safetensors",
    "checkpoints/checkpoint-3/complete.json",
    "checkpoints/checkpoint-6/complete.json",
    "config.yaml",
    "curves.png",
    "environment.json",
    "metrics.csv",
    "metrics.jsonl",
    "report.json",
)
REPORT_KEYS = {
    "run",
    "metrics",
    "rows",
    "shortened",
    "ties",
    "best_step",
    "trainable_parameters",
    "total_parameters",
    "steps",
    "seconds",
    "peak_memory_bytes",
    "zeroth_order",
    "schema_version",
}


@pytest.fixture(params=["rep_run", "adp_run", "prompt_run"])
def any_run(request: pytest.FixtureRequest) -> FinishedRun:
    run: FinishedRun = request.getfixturevalue(request.param)
    return run


def test_a_run_folder_holds_every_file_of_the_contract(any_run: FinishedRun) -> None:
    missing = set(CONTRACT_FILES) - set(files_below(any_run.path))

    assert not missing
    assert not [name for name in files_below(any_run.path) if "/." in f"/{name}"], "a temporary file is left"


def test_the_config_of_a_run_is_resolved(rep_run: FinishedRun, workplace: Workplace) -> None:
    config = yaml.safe_load((rep_run.path / "config.yaml").read_text(encoding="utf-8"))

    assert config["model"]["name"] == str(workplace.encoder)
    assert config["data"]["source"] == str(workplace.sentences)
    assert (config["task"]["name"], config["task"]["form"]) == ("sst2", "classification")
    adapter, training = config["adapter"], config["training"]
    assert (adapter["preset"], adapter["tt_rank"], adapter["bottleneck"]) == ("standard", 5, 8)
    assert (adapter["head"], adapter["init"], adapter["target_modules"]) == (
        "dense",
        "zero",
        ["query", "value"],
    )
    assert training["learning_rate"] > 0
    assert training["epochs"] > 0
    assert config["data"]["max_length"] == 128, "no longer than the model's positions"


def test_the_config_of_a_custom_task_keeps_columns_and_labels(adp_run: FinishedRun) -> None:
    config = yaml.safe_load((adp_run.path / "config.yaml").read_text(encoding="utf-8"))

    assert config["data"]["labels"] == ["angry", "calm", "glad"]
    columns = {role: column for role, column in config["data"]["columns"].items() if column is not None}
    assert columns == {"text": "message", "label": "mood"}


def test_metrics_have_step_and_split_and_begin_within_ten_steps(any_run: FinishedRun) -> None:
    records = metric_records(any_run.path)

    assert records[0]["step"] <= 10
    assert {record["split"] for record in records} == {"train", "selection", "validation"}
    for record in records:
        wanted = {"loss", "learning_rate"} if record["split"] == "train" else {"loss", "accuracy"}
        assert wanted <= set(record)
    assert [record["step"] for record in records if record["split"] == "selection"] == [3, 6]
    report = any_run.path / "report.json"
    best_step = json.loads(report.read_text(encoding="utf-8"))["best_step"]
    assert [record["step"] for record in records if record["split"] == "validation"] == [best_step]


def test_the_metrics_table_has_the_rows_of_the_log(any_run: FinishedRun) -> None:
    with (any_run.path / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    records = metric_records(any_run.path)
    assert [(int(row["step"]), row["split"]) for row in rows] == [(r["step"], r["split"]) for r in records]
    assert [float(row["loss"]) for row in rows] == [record["loss"] for record in records]


def test_the_curves_are_a_png(any_run: FinishedRun) -> None:
    assert (any_run.path / "curves.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_the_marker_of_a_checkpoint_has_the_checksum_of_every_file(rep_run: FinishedRun) -> None:
    checkpoint = rep_run.path / "checkpoints" / "checkpoint-6"
    sums = json.loads((checkpoint / "complete.json").read_text(encoding="utf-8"))["sha256"]

    assert set(sums) == set(files_below(checkpoint)) - {"complete.json"}
    for name, expected in sums.items():
        assert hashlib.sha256((checkpoint / name).read_bytes()).hexdigest() == expected


def test_the_adapter_is_that_of_the_best_step(any_run: FinishedRun) -> None:
    report = json.loads((any_run.path / "report.json").read_text(encoding="utf-8"))
    best = any_run.path / "checkpoints" / f"checkpoint-{report['best_step']}" / "adapter_model.safetensors"

    weights = (any_run.path / "adapter" / "adapter_model.safetensors").read_bytes()
    assert weights == best.read_bytes()
    assert weights == (any_run.path / "best" / "adapter_model.safetensors").read_bytes()


def test_the_best_step_has_the_highest_main_metric(any_run: FinishedRun) -> None:
    report = json.loads((any_run.path / "report.json").read_text(encoding="utf-8"))
    scores = {r["step"]: r["accuracy"] for r in metric_records(any_run.path) if r["split"] == "validation"}

    assert scores[report["best_step"]] == max(scores.values()) == report["metrics"]["accuracy"]


def test_the_adapter_config_is_in_pefts_layout(any_run: FinishedRun) -> None:
    config = json.loads((any_run.path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))

    assert config["peft_type"] in ("LORETTA_REP", "LORETTA_ADP")
    assert config["task_type"] in ("SEQ_CLS", "CAUSAL_LM")
    assert config["target_modules"]


def test_json_prints_the_report_and_nothing_else(adp_run: FinishedRun) -> None:
    document = adp_run.outcome.document

    assert set(document) >= REPORT_KEYS
    assert document["schema_version"] == 1
    assert document["run"] == str(adp_run.path)
    assert set(document["metrics"]) == {"accuracy", "macro_f1", "loss"}
    assert document["steps"] == 6
    report = json.loads((adp_run.path / "report.json").read_text(encoding="utf-8"))
    assert document == report


def test_progress_goes_to_stderr_and_the_result_to_stdout(rep_run: FinishedRun) -> None:
    outcome = rep_run.outcome

    assert "step=3 split=selection accuracy=" in outcome.stderr
    assert "trainable parameters" in outcome.stdout
    assert f"loretta eval {rep_run.path}" in outcome.stdout, "the next commands to type"
    assert f"loretta merge {rep_run.path}" in outcome.stdout
    assert "step=" not in outcome.stdout
    assert "Warning" not in outcome.stderr


def test_adp_suggests_no_merge(adp_run: FinishedRun, workplace: Workplace) -> None:
    outcome = loretta("train", "--output", adp_run.path, "--resume")

    assert outcome.exit_code == 0
    assert f"loretta eval {adp_run.path}" in outcome.stdout
    assert "merge" not in outcome.stdout


@pytest.mark.parametrize("name", ["rep_run", "adp_run", "prompt_run"])
def test_the_trainable_count_is_that_of_count_params(
    name: str, request: pytest.FixtureRequest, workplace: Workplace
) -> None:
    run: FinishedRun = request.getfixturevalue(name)
    report = json.loads((run.path / "report.json").read_text(encoding="utf-8"))
    model = workplace.decoder if name == "prompt_run" else workplace.encoder
    labels = ("--labels", 3) if name == "adp_run" else ()

    counted = loretta(
        "count-params",
        "--model",
        model,
        "--method",
        name.removesuffix("_run").replace("prompt", "rep"),
        *labels,
        "--json",
    ).document

    assert counted["trainable"] == report["trainable_parameters"]
    assert counted["total"] == report["total_parameters"]
    assert sum(counted["parts"].values()) == counted["trainable"]


def test_storage_is_the_size_of_what_a_run_saves(adp_run: FinishedRun, workplace: Workplace) -> None:
    from safetensors.torch import load_file

    saved = load_file(adp_run.path / "adapter" / "adapter_model.safetensors")
    counted = loretta(
        "count-params", "--model", workplace.encoder, "--method", "adp", "--labels", 3, "--json"
    ).document

    assert counted["storage_bytes"] == 4 * sum(tensor.numel() for tensor in saved.values())


def test_the_cards_loader_gives_bit_identical_logits_in_a_fresh_process(
    rep_run: FinishedRun, adp_run: FinishedRun, prompt_run: FinishedRun, workplace: Workplace, tmp_path: Path
) -> None:
    assert "num_labels=2" in card_snippet(rep_run.path)
    assert "num_labels=3" in card_snippet(adp_run.path)
    assert "AutoModelForCausalLM" in card_snippet(prompt_run.path)
    runs = [
        (rep_run.path, workplace.encoder),
        (adp_run.path, workplace.encoder),
        (prompt_run.path, workplace.decoder),
    ]

    fresh = card_logits(runs, tmp_path)

    assert fresh == [run_logits(run) for run, _ in runs]


def test_the_card_tells_base_results_settings_and_citation(rep_run: FinishedRun) -> None:
    card = (rep_run.path / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---")[1])

    assert head == {
        "base_model": "encoder",
        "library_name": "peft",
        "tags": ["loretta", "tensor-train", "rep"],
    }
    assert "| accuracy |" in card
    assert "| adapter.tt_rank | 5 |" in card
    assert "yang-etal-2024-loretta" in card
    assert str(rep_run.path.parent) not in card.replace("adapter/", ""), (
        "the card names no folder of this machine"
    )
