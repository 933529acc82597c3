"""How far a run is, from its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loretta_cli.artifacts.run_lock import running
from loretta_cli.artifacts.run_state import read_state
from loretta_cli.config import write_config
from tests.run_folders import config_of_run, write_finished, write_unfinished

SOUND: dict[str, object] = {
    **{"metrics": {"accuracy": 0.5}, "main_metric": "accuracy", "best_step": 1, "steps": 1},
    **{"trainable_parameters": 10, "total_parameters": 100},
}


def test_a_finished_run_has_the_figures_of_its_report(tmp_path: Path) -> None:
    write_finished(tmp_path / "run", score=0.8)

    state = read_state(tmp_path / "run")

    assert (state.status, state.reason, state.resumable) == ("finished", "", False)
    assert (state.main_metric, state.score, state.best_step, state.step) == ("accuracy", 0.8, 4, 6)
    assert (state.trainable, state.adapter_bytes, state.method, state.tasks) == (1_000, 4096, "rep", ["sst2"])


def test_a_stopped_run_has_the_step_of_its_checkpoint_and_its_best_evaluation(tmp_path: Path) -> None:
    write_unfinished(tmp_path / "run", steps=6, checkpoint=4, total=12)

    state = read_state(tmp_path / "run")

    assert (state.status, state.step, state.total_steps, state.resumable) == ("stopped", 4, 12, True)
    assert (state.main_metric, state.score, state.best_step) == ("accuracy", 0.7, 4)
    assert state.trainable is None


def test_without_a_complete_checkpoint_a_run_is_incomplete(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "run", steps=3, checkpoint=2)
    (run.checkpoints / "checkpoint-2" / "trainer_state.json").write_text("torn", encoding="utf-8")

    assert read_state(tmp_path / "run").status == "incomplete"


def test_a_run_in_training_is_running_at_the_step_it_logged_last(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "run", steps=6, checkpoint=4)
    with running(run.path):
        state = read_state(run.path)

    assert (state.status, state.step, state.resumable) == ("running", 6, False)


def test_of_a_metric_of_which_less_is_better_the_least_is_the_best(tmp_path: Path) -> None:
    write_unfinished(tmp_path / "run", scores=(3.0, 2.0, 2.5), metric="perplexity")

    assert read_state(tmp_path / "run").score == 2.0


def test_of_equal_scores_the_one_with_the_lower_loss_is_the_best(tmp_path: Path) -> None:
    write_unfinished(tmp_path / "run", scores=(0.7, 0.6, 0.7))

    state = read_state(tmp_path / "run")

    assert (state.score, state.best_step) == (0.7, 6), "whose loss is 0.694 instead of 0.698"


def test_a_run_that_has_logged_nothing_has_no_score(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "run")
    run.metrics_file.unlink()

    state = read_state(run.path)

    assert (state.status, state.step, state.main_metric, state.score) == ("incomplete", 0, None, None)


def test_a_loss_that_is_no_number_is_a_failure_with_its_step(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "run", steps=3, checkpoint=2)
    with run.metrics_file.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": 4, "split": "train", "loss": None}) + "\n")

    state = read_state(run.path)

    assert state.status == "failed"
    assert "step 4" in state.reason


def test_a_run_that_a_comparison_gave_up_has_failed_with_its_reason(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "cells" / "one")
    (tmp_path / "cells" / "one.failure.json").write_text('{"reason": "no memory"}', encoding="utf-8")

    state = read_state(run.path)

    assert (state.status, state.reason) == ("failed", "no memory")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.yaml", "training: [", "config.yaml, line 1"),
        ("config.yaml", "[" * 100_000, "nested too deeply"),
        ("report.json", "[" * 100_000, "nested too deeply"),
        ("metrics.jsonl", "[" * 100_000 + "\n\n", "nested too deeply"),
        ("report.json", "{", "no readable report.json"),
        ("report.json", "[]", "not an object"),
        ("report.json", '{"metrics": {}, "main_metric": "accuracy"}', "lacks a value"),
        ("report.json", '{"metrics": 3, "main_metric": "accuracy"}', "lacks a value"),
        ("report.json", SOUND | {"seconds": "long"}, "lacks a value"),
        ("report.json", SOUND | {"zeroth_order": {"eps": 1}}, "lacks a value"),
        ("report.json", SOUND | {"data": {"train_rows": "many"}}, "lacks a value"),
        ("report.json", SOUND | {"selection": {"split": "train"}}, "lacks a value"),
        ("metrics.jsonl", "torn\n{}\n", "not a JSON object"),
        ("metrics.jsonl", "\xff\n\n", "not a JSON object"),
        ("adapter/adapter_model.safetensors", "", "instead of"),
    ],
)
def test_a_broken_file_makes_a_run_damaged_with_the_reason(
    tmp_path: Path, file: str, content: str | dict[str, object], reason: str
) -> None:
    run = write_finished(tmp_path / "run")
    run.fingerprints_file.write_text(json.dumps({"adapter": {"bytes": 4096}}), encoding="utf-8")
    text = content if isinstance(content, str) else json.dumps(content)
    (run.path / file).write_text(text, encoding="latin-1")

    state = read_state(run.path)

    assert state.status == "damaged"
    assert reason in state.reason, state.reason
    assert state.metrics is not None


def test_a_file_in_the_place_of_which_a_folder_stands_is_damage(tmp_path: Path) -> None:
    run = write_finished(tmp_path / "run")
    run.metrics_file.unlink()
    run.metrics_file.mkdir()

    assert read_state(run.path).status == "damaged"


def test_a_finished_run_without_its_adapter_is_damaged(tmp_path: Path) -> None:
    run = write_finished(tmp_path / "run")
    (run.adapter / "adapter_model.safetensors").unlink()

    assert "adapter is missing" in read_state(run.path).reason


def test_a_finished_run_without_its_adapters_settings_is_damaged(tmp_path: Path) -> None:
    run = write_finished(tmp_path / "run")
    (run.adapter / "adapter_config.json").unlink()

    state = read_state(run.path)

    assert (state.status, state.reason) == ("damaged", "its adapter is missing: adapter/adapter_config.json")


def test_of_several_tasks_the_stages_are_told(tmp_path: Path) -> None:
    config = config_of_run("task.names=[sst2, trec]", task=None)
    write_unfinished(tmp_path / "run", config).metrics_file.unlink()
    write_finished(tmp_path / "run" / "stages" / "1-sst2")
    write_unfinished(
        tmp_path / "run" / "stages" / "2-trec", config_of_run(task="trec"), steps=6, checkpoint=4
    )

    state = read_state(tmp_path / "run")

    assert (state.status, state.tasks) == ("stopped", ["sst2", "trec"])
    assert [stage.status for stage in state.stages] == ["finished", "stopped"]


def test_a_damaged_stage_damages_the_whole(tmp_path: Path) -> None:
    config = config_of_run("task.names=[sst2, trec]", task=None)
    write_unfinished(tmp_path / "run", config)
    stage = write_finished(tmp_path / "run" / "stages" / "1-sst2")
    stage.report_file.write_text("{", encoding="utf-8")

    state = read_state(tmp_path / "run")

    assert state.status == "damaged"
    assert state.reason.startswith("stage 1-sst2: ")


def test_of_several_tasks_the_mean_is_the_score(tmp_path: Path) -> None:
    config = config_of_run("task.names=[sst2, trec]", task=None)
    run = write_finished(
        tmp_path / "run", config, metrics={"accuracy": 0.9, "loss": 0.5, "mean_over_tasks": 0.6}
    )

    state = read_state(run.path)

    assert (state.main_metric, state.score) == ("mean_over_tasks", 0.6)


def test_numbers_beyond_all_reason_are_no_numbers(tmp_path: Path) -> None:
    run = write_unfinished(tmp_path / "run", steps=3, checkpoint=2)
    huge = "9" * 400
    lines = (
        f'{{"step": 4, "split": "selection", "accuracy": {huge}}}',
        f'{{"step": {huge}, "split": "train"}}',
    )
    with run.metrics_file.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))

    state = read_state(run.path)

    assert (state.status, state.score) == ("stopped", 0.7)
    assert max(int(str(record["step"])) for record in state.records) == 4


def test_the_time_is_that_of_the_last_file_a_training_wrote(tmp_path: Path) -> None:
    run = write_finished(tmp_path / "run", changed_at=1_000_000.0)
    write_config(config_of_run(), tmp_path / "other.yaml")

    assert read_state(run.path).changed_at == 1_000_000.0
