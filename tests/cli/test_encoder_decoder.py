"""The command line on a tiny T5: every task, both forms, both methods, merge and export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.cli.refusal import assert_refused
from tests.command_line import loretta

ROWS = {
    "boolq": [
        {"question": "is the sun warm", "passage": "the sun is warm light", "label": True},
        {"question": "is the river warm", "passage": "the river is cold water", "label": False},
    ],
    "rte": [
        {"sentence1": "the house is old", "sentence2": "the house is not new", "label": 0},
        {"sentence1": "the sky is blue", "sentence2": "the sky is red", "label": 1},
    ],
}


@pytest.fixture(scope="module")
def t5(workplace: Workplace) -> Path:
    from tests.tiny_folders import save_tiny_encoder_decoder

    return save_tiny_encoder_decoder(workplace.folder / "t5")


@pytest.fixture(scope="module")
def run(workplace: Workplace, t5: Path) -> Callable[..., FinishedRun]:
    """Train; the same arguments give the same run."""
    made: dict[tuple[str, ...], FinishedRun] = {}

    def train(*arguments: object) -> FinishedRun:
        key = tuple(map(str, arguments))
        if key not in made:
            folder = workplace.folder / f"t5-run-{len(made)}"
            outcome = loretta("train", "--model", t5, "--output", folder, *FEW_STEPS, *arguments, "--json")
            assert outcome.exit_code == 0, outcome.stderr
            made[key] = FinishedRun(folder, outcome)
        return made[key]

    return train


def metrics_of(*command: object) -> dict[str, float]:
    outcome = loretta("eval", *command, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    metrics: dict[str, float] = outcome.document["results"][0]["metrics"]
    return metrics


def test_a_run_is_text_to_text_and_evaluates_as_it_was_trained(
    workplace: Workplace, run: Callable[..., FinishedRun]
) -> None:
    finished = run("--task", "sst2", "--data", workplace.sentences)
    assert "(prompt)" in finished.outcome.stderr
    adapter = json.loads((finished.path / "adapter" / "adapter_config.json").read_text())
    assert adapter["task_type"] == "SEQ_2_SEQ_LM"
    assert sorted(adapter["target_modules"]) == ["q", "v"]
    assert metrics_of(finished.path) == pytest.approx(finished.outcome.document["metrics"], abs=1e-6)
    assert "AutoModelForSeq2SeqLM" in (finished.path / "README.md").read_text()


def test_a_merged_model_is_a_plain_t5_that_scores_the_same(
    workplace: Workplace, run: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    finished = run("--task", "sst2", "--data", workplace.sentences)
    outcome = loretta("merge", finished.path, "--output", tmp_path / "merged", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.document["verified"] is True
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["architectures"] == [
        "T5ForConditionalGeneration"
    ]
    merged = metrics_of("--model", tmp_path / "merged", "--task", "sst2", "--data", workplace.sentences)
    assert merged == pytest.approx(metrics_of(finished.path), abs=1e-4)


def test_the_exported_lora_is_one_for_encoder_decoders(
    workplace: Workplace, run: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    finished = run("--task", "sst2", "--data", workplace.sentences)
    outcome = loretta("export", finished.path, "--format", "lora", "--output", tmp_path / "lora", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.document["verified"] is True
    config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
    assert (config["peft_type"], config["task_type"]) == ("LORA", "SEQ_2_SEQ_LM")


def test_the_classification_form_trains_a_head_and_merges(
    workplace: Workplace, run: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    form = ("--set", "task.form=classification")
    finished = run("--task", "sst2", "--data", workplace.sentences, *form)
    head = 32 * 32 + 32 + 32 * 2 + 2
    parts = loretta("count-params", "--model", workplace.folder / "t5", *form, "--json").document["parts"]
    assert parts["head"] == head
    assert finished.outcome.document["trainable_parameters"] == parts["cores"] + head
    outcome = loretta("merge", finished.path, "--output", tmp_path / "merged", "--json")
    assert outcome.document["verified"] is True
    merged = metrics_of(
        *("--model", tmp_path / "merged", "--task", "sst2", "--data", workplace.sentences), *form
    )
    assert merged == pytest.approx(metrics_of(finished.path), abs=1e-4)


def test_adp_trains_on_labels_of_several_tokens_and_does_not_merge(
    workplace: Workplace, run: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    columns = ("--set", "data.columns.text=message", "--set", "data.columns.label=mood")
    finished = run("--task", "classification", "--data", workplace.labelled, *columns, "--method", "adp")
    assert metrics_of(finished.path) == pytest.approx(finished.outcome.document["metrics"], abs=1e-6)
    adapter = json.loads((finished.path / "adapter" / "adapter_config.json").read_text())
    assert sorted(adapter["target_modules"]) == ["o", "wo"]
    refused = loretta("merge", finished.path, "--output", tmp_path / "merged")
    assert_refused(refused)
    assert "nonlinearity" in refused.stderr


@pytest.mark.parametrize("task", ROWS)
def test_tasks_with_two_texts_train(task: str, run: Callable[..., FinishedRun], tmp_path: Path) -> None:
    for split in ("train", "validation"):
        lines = [json.dumps(row) for row in ROWS[task] * 3]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    finished = run("--task", task, "--data", tmp_path)
    assert finished.outcome.document["steps"] == 6


def test_a_dry_run_counts_what_the_run_trains(
    workplace: Workplace, t5: Path, run: Callable[..., FinishedRun]
) -> None:
    data: tuple[Any, ...] = ("--task", "sst2", "--data", workplace.sentences)
    dry = loretta("train", "--model", t5, *data, "--dry-run", "--json")
    counted = loretta("count-params", "--model", t5, "--json").document
    trained = run(*data).outcome.document
    assert dry.document["parameters"]["trainable"] == counted["trainable"] == trained["trainable_parameters"]
    assert dry.document["parameters"]["total"] == counted["total"] == trained["total_parameters"]


def test_an_encoder_without_a_decoder_is_refused_in_words(
    workplace: Workplace, t5: Path, tmp_path: Path
) -> None:
    from transformers import T5EncoderModel

    from tests.tiny_folders import encoder_decoder_tokenizer

    config = json.loads((t5 / "config.json").read_text())
    T5EncoderModel(T5EncoderModel.config_class(**config)).save_pretrained(tmp_path / "half")
    encoder_decoder_tokenizer().save_pretrained(tmp_path / "half")
    outcome = loretta(
        *("train", "--model", tmp_path / "half", "--task", "sst2", "--data", workplace.sentences),
        *("--output", tmp_path / "run"),
    )
    assert_refused(outcome)
    assert "the encoder of an encoder-decoder alone" in outcome.stderr
    assert not (tmp_path / "run").exists()
