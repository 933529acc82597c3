"""``loretta export --format lora``: a standard PEFT LoRA that gives what the rep adapter gave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.cli.logits import assert_close, plain_peft, run_logits
from tests.command_line import files_below, loretta

KEYS = {
    *("output", "format", "verified", "max_abs_difference", "tolerance", "rank", "quantization"),
    *("engine", "unverified_because", "schema_version"),
    *("saved_modules", "saved_parameters", "saved_bytes"),
}


def test_the_loras_need_plain_peft_only_and_agree(
    rep_run: FinishedRun,
    prompt_run: FinishedRun,
    paper_run: Callable[[str], FinishedRun],
    workplace: Workplace,
    tmp_path: Path,
) -> None:
    roberta, deberta = paper_run("roberta"), paper_run("deberta")
    exports = [
        (rep_run, workplace.encoder, "classifier"),
        (roberta, workplace.folder / "roberta", "classifier"),
        (deberta, workplace.folder / "deberta", "classifier"),
        (prompt_run, workplace.decoder, "causal"),
    ]
    loras = []
    for number, (run, base, kind) in enumerate(exports):
        loras.append((base, tmp_path / str(number), kind))
        outcome = loretta(
            "export", run.path, "--format", "lora", "--output", tmp_path / str(number), "--json"
        )
        assert outcome.exit_code == 0, outcome.stderr
        document = outcome.document
        assert set(document) == KEYS
        assert (document["format"], document["verified"]) == ("lora", True)
        assert document["max_abs_difference"] <= 1e-4

    plain = plain_peft(loras)

    for logits, (run, _, _) in zip(plain, exports, strict=True):
        assert_close(logits, run_logits(run.path))


def test_the_lora_is_of_peft_and_has_the_lowest_rank(rep_run: FinishedRun, tmp_path: Path) -> None:
    document = loretta(
        "export", rep_run.path, "--format", "lora", "--output", tmp_path / "lora", "--json"
    ).document

    config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["peft_type"] == "LORA"
    assert config["r"] == config["lora_alpha"] == document["rank"] == 5, (
        "the TT rank, below the bottleneck of 8"
    )
    assert {name.rpartition(".")[2] for name in config["target_modules"]} == {"query", "value"}
    assert "classifier" in config["modules_to_save"]


def test_trained_norms_and_a_tensor_train_head_go_along(
    paper_run: Callable[[str], FinishedRun], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    run = paper_run("roberta")
    loretta("export", run.path, "--format", "lora", "--output", tmp_path / "lora")

    config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text(encoding="utf-8"))
    assert {"LayerNorm", "classifier"} <= set(config["modules_to_save"])
    tensors = load_file(tmp_path / "lora" / "adapter_model.safetensors")
    dense = [name for name in tensors if "classifier.dense.weight" in name]
    assert [tuple(tensors[name].shape) for name in dense] == [(48, 48)], "the train as the matrix it is"
    assert any("LayerNorm" in name for name in tensors)


def test_an_exported_folder_has_adapter_tokenizer_and_card(rep_run: FinishedRun, tmp_path: Path) -> None:
    outcome = loretta("export", rep_run.path, "--format", "lora", "--output", tmp_path / "lora")

    assert files_below(tmp_path / "lora") == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert "rank" in outcome.stdout
    assert "base_model: encoder" in (tmp_path / "lora" / "README.md").read_text(encoding="utf-8")


def test_without_output_the_lora_goes_into_the_run(
    rep_run: FinishedRun, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(rep_run)

    assert loretta("export", run, "--format", "lora").exit_code == 0
    assert (run / "lora" / "adapter_config.json").is_file()
    assert loretta("export", run, "--format", "lora").exit_code == 2


def test_without_a_format_all_are_named(tmp_path: Path) -> None:
    error = loretta("export", tmp_path, "--json").document["error"]

    assert error["message"] == "No format is given."
    assert "adapter, gguf, gguf-lora, lora, onnx, tt" in error["hint"]


def test_an_unknown_format_gets_a_suggestion(rep_run: FinishedRun) -> None:
    outcome = loretta("export", rep_run.path, "--format", "lroa", "--json")

    assert outcome.exit_code == 2
    assert outcome.document["error"]["message"] == "Unknown format 'lroa'."
    assert "Did you mean 'lora'?" in outcome.document["error"]["hint"]


def test_adp_is_refused_with_the_reason(adp_run: FinishedRun, tmp_path: Path) -> None:
    outcome = loretta("export", adp_run.path, "--format", "lora", "--output", tmp_path / "lora", "--json")

    assert outcome.exit_code == 2
    assert "nonlinear" in outcome.document["error"]["message"]
    assert not files_below(tmp_path)


def test_a_difference_over_the_tolerance_exits_1_and_leaves_nothing(
    rep_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from loretta_cli.artifacts import comparison

    monkeypatch.setitem(comparison.RELATIVE_TOLERANCE, torch.float32, -1.0)

    outcome = loretta("export", rep_run.path, "--format", "lora", "--output", tmp_path / "lora", "--json")

    assert outcome.exit_code == 1
    assert outcome.document["error"]["type"] == "ExportError"
    assert not files_below(tmp_path)


def test_a_noise_reduction_run_exports_and_merges(
    rep_run: FinishedRun, copied: Callable[[FinishedRun], Path], tmp_path: Path
) -> None:
    place = rep_run.path.parent
    run = tmp_path / "run"
    arguments = ("--model", place / "encoder", "--task", "sst2", "--data", place / "sentences")
    trained = loretta(
        "train", *arguments, *FEW_STEPS, "--set", "adapter.init=noise-reduction", "--output", run
    )
    assert trained.exit_code == 0, trained.stderr

    exported = loretta("export", run, "--format", "lora", "--json").document
    merged = loretta("merge", run, "--json").document

    assert exported["verified"]
    assert exported["max_abs_difference"] <= 1e-4
    assert merged["verified"]
    assert merged["max_abs_logit_difference"] <= 1e-4
