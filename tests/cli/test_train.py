"""``loretta train``: settings, and the flags that decide where a run goes; how a run may end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.command_line import files_below, loretta, metric_records


def sentence_task(workplace: Workplace) -> tuple[object, ...]:
    """A complete train command on the encoder, without an output."""
    return (
        *("train", "--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences),
        *FEW_STEPS,
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


def test_overwrite_leaves_a_folder_alone_that_only_has_a_config_of_its_own(
    workplace: Workplace, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "config.yaml").write_text("site: mine\n", encoding="utf-8")

    outcome = loretta(*sentence_task(workplace), "--output", project, "--overwrite")

    assert outcome.exit_code == 2
    assert "--overwrite replaces runs only" in outcome.stderr
    assert [file.name for file in project.iterdir()] == ["config.yaml"]


def test_a_launcher_of_several_processes_is_refused(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")

    outcome = loretta(*sentence_task(workplace), "--output", tmp_path / "run")

    assert outcome.exit_code == 2
    assert "several processes" in outcome.stderr
    assert not (tmp_path / "run").exists()


def test_saving_asks_no_hub(workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import peft.utils.save_and_load as saving

    def asked(*args: object, **options: object) -> bool:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(saving, "check_file_exists_on_hf_hub", asked)

    outcome = loretta(
        *sentence_task(workplace), "--output", tmp_path / "run", "--set", "training.max_steps=2"
    )

    assert outcome.exit_code == 0, outcome.stderr


@pytest.mark.parametrize("origin", ["recipe", "run"])
def test_a_file_cannot_switch_on_code_of_strangers(
    origin: str, rep_run: FinishedRun, copied: Callable[[FinishedRun], Path], tmp_path: Path
) -> None:
    if origin == "recipe":
        recipe = tmp_path / "evil.yaml"
        recipe.write_text("model: {name: x, trust_remote_code: true}\ntask: {name: sst2}\n", encoding="utf-8")
        outcome = loretta("train", recipe, "--dry-run")
    else:
        run = copied(rep_run)
        config = (run / "config.yaml").read_text(encoding="utf-8")
        changed = config.replace("trust_remote_code: false", "trust_remote_code: true")
        assert changed != config
        (run / "config.yaml").write_text(changed, encoding="utf-8")
        outcome = loretta("eval", run)

    assert outcome.exit_code == 2
    assert "--trust-remote-code" in outcome.stderr


def test_overwrite_starts_a_run_anew(
    rep_run: FinishedRun, workplace: Workplace, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(rep_run)
    (run / "left-over.txt").write_text("old", encoding="utf-8")

    outcome = loretta(
        *sentence_task(workplace), "--output", run, "--overwrite", "--set", "training.max_steps=3"
    )

    assert outcome.exit_code == 0, outcome.stderr
    assert (run / "left-over.txt").read_text(encoding="utf-8") == "old", "only a run's own files are removed"
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


@pytest.mark.parametrize(
    ("arguments", "told", "hint"),
    [
        (
            ("--task", "sst2,mrpc"),
            "--task takes one task each time; found 'sst2,mrpc'.",
            "One after the other: --task sst2 --task mrpc. Side by side: loretta compare --task sst2,mrpc",
        ),
        (
            ("--task", "rte", "--task", "sst2, mrpc"),
            "found 'sst2, mrpc'.",
            "--task rte --task sst2 --task mrpc. Side by side: loretta compare --task rte,sst2,mrpc",
        ),
        (
            ("--method", "adp,rep"),
            "--method takes one method; found 'adp,rep'.",
            "Side by side: loretta compare --method adp,rep",
        ),
    ],
)
def test_a_list_as_compare_takes_it_is_refused_with_the_command_that_was_meant(
    arguments: tuple[str, ...], told: str, hint: str
) -> None:
    outcome = loretta("train", "quickstart", *arguments)

    assert outcome.exit_code == 2
    assert told in outcome.stderr
    assert hint in outcome.stderr
