"""Commands on a base model that is a GGUF file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("gguf", reason="the extra export is not installed")

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.cli.logits import assert_close, card_logits, card_snippet, plain_transformers, run_logits
from tests.cli.refusal import assert_refused
from tests.command_line import files_below, loretta


def test_a_run_is_the_one_on_the_same_model_as_a_folder(
    gguf_run: FinishedRun, prompt_run: FinishedRun
) -> None:
    assert_close(run_logits(gguf_run.path), run_logits(prompt_run.path))


def test_eval_gives_what_training_reported(gguf_run: FinishedRun) -> None:
    report = json.loads((gguf_run.path / "report.json").read_text(encoding="utf-8"))

    (result,) = loretta("eval", gguf_run.path, "--json").document["results"]

    assert result["metrics"] == pytest.approx(report["metrics"], abs=1e-6)


def test_merge_works_in_memory_and_says_why(gguf_run: FinishedRun, tmp_path: Path) -> None:
    outcome = loretta("merge", gguf_run.path, "--output", tmp_path / "merged", "--json")

    assert outcome.exit_code == 0, outcome.stderr
    assert (outcome.document["verified"], outcome.document["streamed"]) == (True, False)
    assert "one file of another format" in outcome.stderr
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(
        files_below(tmp_path / "merged")
    )
    assert not list((tmp_path / "merged").glob("*.gguf"))
    (logits,) = plain_transformers([(tmp_path / "merged", "causal")])
    assert_close(logits, run_logits(gguf_run.path))


def test_count_params_counts_the_file(gguf_run: FinishedRun, workplace: Workplace) -> None:
    document = loretta(
        "count-params", "--model", workplace.folder / "gguf" / "decoder.gguf", "--method", "rep", "--json"
    ).document

    report = json.loads((gguf_run.path / "report.json").read_text(encoding="utf-8"))
    assert document["trainable"] == report["trainable_parameters"]
    assert document["total"] == report["total_parameters"]


def test_the_snippets_of_the_cards_load_a_language_model_and_a_classifier(
    gguf_run: FinishedRun, workplace: Workplace, tmp_path: Path
) -> None:
    model = workplace.folder / "gguf" / "decoder.gguf"
    outcome = loretta(
        *("train", "--model", model, "--task", "sst2", "--data", workplace.sentences, "--method", "adp"),
        *("--set", "task.form=classification", "--output", tmp_path / "run", *FEW_STEPS),
    )
    assert outcome.exit_code == 0, outcome.stderr
    runs = [gguf_run.path, tmp_path / "run"]
    assert not any(str(workplace.folder) in card_snippet(run) for run in runs)
    (tmp_path / "place").mkdir()

    found = card_logits([(run, model) for run in runs], tmp_path / "place")

    for logits, run in zip(found, runs, strict=True):
        assert_close(logits, run_logits(run))


def test_a_moved_file_is_named_with_base_and_another_is_refused(
    gguf_run: FinishedRun, workplace: Workplace, copied: Callable[[FinishedRun], Path], tmp_path: Path
) -> None:
    file = workplace.folder / "gguf" / "decoder.gguf"
    run = copied(gguf_run)
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config.replace(str(file), str(tmp_path / "gone.gguf")), encoding="utf-8")
    (tmp_path / "moved.gguf").write_bytes(file.read_bytes())
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    (tmp_path / "other.gguf").write_bytes(content)

    gone = loretta("eval", run)
    other = loretta("eval", run, "--base", tmp_path / "other.gguf")
    moved = loretta("eval", run, "--base", tmp_path / "moved.gguf")

    assert_refused(gone)
    assert "gone.gguf: nothing is there" in gone.stderr
    assert_refused(other)
    assert "is not the one that the run" in other.stderr
    assert moved.exit_code == 0, moved.stderr


@pytest.mark.parametrize("command", ["train", "count-params"])
def test_a_file_that_is_no_model_is_one_sentence(command: str, workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("hello", encoding="utf-8")
    arguments: tuple[object, ...] = ("--method", "rep")
    if command == "train":
        arguments += ("--task", "sst2", "--data", workplace.sentences, "--output", tmp_path / "run")

    outcome = loretta(command, "--model", tmp_path / "text.gguf", *arguments)

    assert_refused(outcome)
    assert "is no GGUF file" in outcome.stderr
    assert files_below(tmp_path) == ["text.gguf"]


def test_quantising_it_again_is_refused(gguf_run: FinishedRun, workplace: Workplace, tmp_path: Path) -> None:
    outcome = loretta(
        *("train", "--model", workplace.folder / "gguf" / "decoder.gguf", "--task", "sst2"),
        *("--data", workplace.sentences, "--set", "model.quantization=nf4", "--output", tmp_path / "run"),
    )

    assert_refused(outcome)
    assert "model.quantization is nf4" in outcome.stderr
