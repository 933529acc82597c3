"""``loretta train``: the run folder, the report, and the flags that decide where a run goes."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.command_line import files_below, loretta, metric_records, python

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
    "best_step",
    "trainable_parameters",
    "total_parameters",
    "steps",
    "seconds",
    "peak_memory_bytes",
    "schema_version",
}


def sentence_task(workplace: Workplace) -> tuple[object, ...]:
    """A complete train command on the encoder, without an output."""
    return (
        *("train", "--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences),
        *FEW_STEPS,
    )


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
    assert config["task"] == {"name": "sst2", "form": "classification"}
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
    assert config["data"]["columns"] == {"text": "message", "text_pair": None, "label": "mood"}


def test_metrics_have_step_and_split_and_begin_within_ten_steps(any_run: FinishedRun) -> None:
    records = metric_records(any_run.path)

    assert records[0]["step"] <= 10
    assert {record["split"] for record in records} == {"train", "validation"}
    for record in records:
        wanted = {"loss", "learning_rate"} if record["split"] == "train" else {"loss", "accuracy"}
        assert wanted <= set(record)
    assert [record["step"] for record in records if record["split"] == "validation"] == [3, 6]


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

    assert "step=3 split=validation accuracy=" in outcome.stderr
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


READ_LOGITS = """
import json, pathlib, sys, torch
torch.set_num_threads(1)
snippet = pathlib.Path("snippet.py").read_text()
assert snippet.rstrip().endswith('"adapter")')
exec(snippet.rstrip()[:-1] + ', adapter_name="another")')
model.eval()
ids = torch.tensor([[5, 60, 61, 70, 90, 100]])
with torch.no_grad():
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
print(json.dumps(logits.flatten().tolist()))
"""


@pytest.mark.parametrize("name", ["rep_run", "adp_run", "prompt_run"])
def test_the_cards_loader_gives_bit_identical_logits_in_a_fresh_process(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run: FinishedRun = request.getfixturevalue(name)
    card = (run.path / "README.md").read_text(encoding="utf-8")
    snippet = card.split("```python\n")[1].split("```")[0]
    labels = {"rep_run": "num_labels=2", "adp_run": "num_labels=3", "prompt_run": "AutoModelForCausalLM"}
    assert labels[name] in snippet
    base = "decoder" if name == "prompt_run" else "encoder"
    (tmp_path / base).symlink_to(run.path.parent / base)
    (tmp_path / "adapter").symlink_to(run.path / "adapter")
    (tmp_path / "snippet.py").write_text(snippet, encoding="utf-8")

    fresh = json.loads(python(READ_LOGITS, cwd=tmp_path))

    assert fresh == _logits_here(run.path)


def _logits_here(run: Path) -> list[float]:
    import torch

    from loretta_cli.artifacts.restore import load_adapter
    from loretta_cli.artifacts.run_folder import RunFolder
    from loretta_cli.plan import make_plan

    folder = RunFolder(run)
    model = load_adapter(make_plan(folder.read_config()), folder)
    ids = torch.tensor([[5, 60, 61, 70, 90, 100]])
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    values: list[float] = logits.flatten().tolist()
    return values


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


def test_dry_run_shows_every_setting_with_its_origin_and_writes_nothing(
    workplace: Workplace, tmp_path: Path
) -> None:
    outcome = loretta(*sentence_task(workplace), "--seed", 7, "--dry-run", cwd=tmp_path)

    assert outcome.exit_code == 0, outcome.stderr
    origins = {
        line.split()[0]: line for line in outcome.stdout.splitlines() if line.startswith(tuple("matd"))
    }
    assert origins["training.seed"].split()[1:] == ["7", "flag"]
    assert origins["training.max_steps"].split()[1:] == ["6", "--set"]
    assert origins["adapter.tt_rank"].split()[1:] == ["5", "preset", "standard"]
    assert origins["training.weight_decay"].split()[1:] == ["0.01", "default"]
    assert not files_below(tmp_path)


def test_dry_run_with_json_is_one_document_with_the_count_of_the_run(
    workplace: Workplace, tmp_path: Path, rep_run: FinishedRun
) -> None:
    document = loretta(*sentence_task(workplace), "--dry-run", "--json", cwd=tmp_path).document

    assert document["run"] == "runs/sst2-rep-encoder"
    report = json.loads((rep_run.path / "report.json").read_text(encoding="utf-8"))
    assert document["parameters"]["trainable"] == report["trainable_parameters"]
    resolved = yaml.safe_load((rep_run.path / "config.yaml").read_text(encoding="utf-8"))
    dry = document["config"]
    dry["output"] = resolved["output"]
    assert dry == resolved


def test_a_recipe_its_overrides_and_flags_win_in_that_order(workplace: Workplace, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        f"model: {{name: {workplace.encoder}}}\n"
        f"task: {{name: sst2}}\ndata: {{source: {workplace.sentences}}}\n"
        "training: {seed: 1, batch_size: 2, log_every: 3}\n",
        encoding="utf-8",
    )

    document = loretta(
        "train",
        recipe,
        "--set",
        "training.seed=2",
        "--set",
        "training.batch_size=5",
        "--seed",
        3,
        "--dry-run",
        "--json",
    ).document

    training = document["config"]["training"]
    assert (training["seed"], training["batch_size"], training["log_every"]) == (3, 5, 3)


def test_without_output_runs_are_named_after_task_method_and_model(
    workplace: Workplace, tmp_path: Path
) -> None:
    names = []
    for _ in range(2):
        document = loretta(*sentence_task(workplace), "--json", cwd=tmp_path).document
        names.append(document["run"])

    assert names == ["runs/sst2-rep-encoder", "runs/sst2-rep-encoder-2"]
    assert (tmp_path / "runs/sst2-rep-encoder-2/report.json").is_file()


def test_the_same_seed_gives_the_same_adapter_and_another_one_does_not(
    workplace: Workplace, tmp_path: Path, rep_run: FinishedRun
) -> None:
    weights = []
    for seed in (0, 1):
        run = tmp_path / f"seed-{seed}"
        assert loretta(*sentence_task(workplace), "--seed", seed, "--output", run).exit_code == 0
        weights.append((run / "adapter" / "adapter_model.safetensors").read_bytes())

    first = (rep_run.path / "adapter" / "adapter_model.safetensors").read_bytes()
    assert weights[0] == first
    assert weights[1] != first


def test_an_existing_run_is_refused_with_both_choices(rep_run: FinishedRun, workplace: Workplace) -> None:
    before = _fingerprint(rep_run.path)

    outcome = loretta(*sentence_task(workplace), "--output", rep_run.path)

    assert outcome.exit_code == 2
    assert "exists and is not empty" in outcome.stderr
    assert "--resume" in outcome.stderr
    assert "--overwrite" in outcome.stderr
    assert _fingerprint(rep_run.path) == before


def test_overwrite_starts_a_run_anew(
    rep_run: FinishedRun, workplace: Workplace, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(rep_run)
    (run / "left-over.txt").write_text("old", encoding="utf-8")

    outcome = loretta(
        *sentence_task(workplace), "--output", run, "--overwrite", "--set", "training.max_steps=3"
    )

    assert outcome.exit_code == 0, outcome.stderr
    assert not (run / "left-over.txt").exists()
    assert not (run / "checkpoints" / "checkpoint-6").exists()
    assert {record["step"] for record in metric_records(run)} == {1, 3}


def test_overwrite_spares_a_folder_that_is_no_run(workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work", encoding="utf-8")

    outcome = loretta(*sentence_task(workplace), "--output", tmp_path / "thesis", "--overwrite")

    assert outcome.exit_code == 2
    assert "--overwrite replaces runs only" in outcome.stderr
    assert files_below(tmp_path) == ["thesis", "thesis/chapter.txt"]


def test_overwrite_with_a_wrong_setting_keeps_the_old_run(
    rep_run: FinishedRun, workplace: Workplace, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(rep_run)
    before = _fingerprint(run)

    wrong = loretta(
        *sentence_task(workplace), "--output", run, "--overwrite", "--data", run / "no-such-folder"
    )

    assert wrong.exit_code == 2
    assert _fingerprint(run) == before


def test_dry_run_with_overwrite_accepts_the_run_and_leaves_it(
    rep_run: FinishedRun, workplace: Workplace
) -> None:
    before = _fingerprint(rep_run.path)

    outcome = loretta(*sentence_task(workplace), "--output", rep_run.path, "--overwrite", "--dry-run")

    assert outcome.exit_code == 0, outcome.stderr
    assert _fingerprint(rep_run.path) == before


def test_an_empty_folder_may_be_the_output(workplace: Workplace, tmp_path: Path) -> None:
    outcome = loretta(*sentence_task(workplace), "--output", tmp_path)

    assert outcome.exit_code == 0, outcome.stderr
    assert (tmp_path / "report.json").is_file()


def test_resuming_a_finished_run_shows_its_report_and_changes_nothing(adp_run: FinishedRun) -> None:
    before = _fingerprint(adp_run.path)

    outcome = loretta("train", "--output", adp_run.path, "--resume", "--json")

    assert outcome.exit_code == 0
    assert outcome.document == adp_run.outcome.document
    assert "is finished" in outcome.stderr
    assert _fingerprint(adp_run.path) == before


def test_resuming_with_the_same_flags_is_no_contradiction(rep_run: FinishedRun, workplace: Workplace) -> None:
    outcome = loretta(*sentence_task(workplace), "--output", rep_run.path, "--resume")

    assert outcome.exit_code == 0, outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("--seed", "9"), "training.seed"),
        (("--method", "adp"), "adapter.method"),
        (("--set", "training.max_steps=100"), "training.max_steps"),
        (("--data", "elsewhere"), "data.source"),
        (("--task", "rte"), "task.name"),
    ],
)
def test_resuming_with_other_settings_is_refused(
    rep_run: FinishedRun, arguments: tuple[str, ...], key: str
) -> None:
    before = _fingerprint(rep_run.path)

    outcome = loretta("train", "--output", rep_run.path, "--resume", *arguments)

    assert outcome.exit_code == 2
    assert "resumed with its own settings" in outcome.stderr
    assert key in outcome.stderr
    assert _fingerprint(rep_run.path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--resume",), "--output"),
        (("--resume", "--output", "nothing-here"), "no run to resume"),
        (("--resume", "--overwrite", "--output", "x"), "contradict"),
        (("--resume", "--dry-run", "--output", "x"), "contradict"),
    ],
)
def test_a_resume_that_cannot_be_is_refused(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    outcome = loretta("train", *arguments, cwd=tmp_path)

    assert outcome.exit_code == 2
    assert words in outcome.stderr
    assert not files_below(tmp_path)


def test_an_interrupted_run_exits_130_and_says_how_to_go_on(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loretta_cli.training.callbacks import ReportCallback

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ReportCallback, "on_evaluate", interrupt)
    outcome = loretta(*sentence_task(workplace), "--output", tmp_path / "run", "--json")

    assert outcome.exit_code == 130
    assert outcome.document["error"]["message"] == "Interrupted."
    assert f"--output {tmp_path / 'run'} --resume" in outcome.document["error"]["hint"]


def test_a_loss_that_is_not_a_number_ends_with_exit_1_and_advice(
    workplace: Workplace, tmp_path: Path
) -> None:
    outcome = loretta(
        *sentence_task(workplace),
        *("--output", tmp_path / "run", "--json"),
        *(
            "--set",
            "training.learning_rate=1e30",
            "--set",
            "training.max_grad_norm=0",
            "--set",
            "training.warmup=0",
        ),
    )

    assert outcome.exit_code == 1
    error = outcome.document["error"]
    assert error["type"] == "TrainingError"
    assert "diverged" in error["message"]
    assert "training.learning_rate" in error["hint"]
    assert not (tmp_path / "run" / "report.json").exists()
    assert "Traceback" not in outcome.stderr


def test_lora_trains_for_comparison(workplace: Workplace, tmp_path: Path) -> None:
    run = tmp_path / "lora"
    document = loretta(*sentence_task(workplace), "--method", "lora", "--output", run, "--json").document
    counted = loretta("count-params", "--model", workplace.encoder, "--method", "lora", "--json").document

    assert document["trainable_parameters"] == counted["trainable"]
    assert loretta("eval", run).exit_code == 0


def _fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
