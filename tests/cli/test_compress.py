"""``loretta compress``: a LoRA becomes rep, and what is written loads, scores, merges and exports."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.cli.logits import assert_close, card_logits, run_logits
from tests.cli.refusal import assert_refused
from tests.command_line import Outcome, files_below, loretta, python

KEYS = {
    *("output", "source", "task", "main_metric", "rows", "layers", "lora", "ranks"),
    "schema_version",
}
RANK_KEYS = {
    *("tt_rank", "tt_ranks", "bottleneck", "output", "mean_error", "worst_error", "errors", "metrics"),
    *("update_parameters", "trainable_parameters", "bytes"),
}
FULL = "1000"
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def lora_run(workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """LoRA on the encoder, sst2 with a classification head; trained until it matters."""
    run = tmp_path_factory.mktemp("lora") / "lora-run"
    outcome = loretta(
        *("train", "--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences),
        *("--method", "lora", "--output", run, *FEW_STEPS, "--set", "training.learning_rate=0.05"),
    )
    assert outcome.exit_code == 0, outcome.stderr
    return FinishedRun(run, outcome)


@pytest.fixture(scope="module")
def bare_lora(workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random LoRA on the decoder, as PEFT writes it; of no task type and with a pattern of ranks."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("bare") / "my-lora"
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["q_proj", "v_proj"],
        rank_pattern={"layers.1.self_attn.q_proj": 2},
        init_lora_weights=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(workplace.decoder), config)
    model.save_pretrained(str(folder))
    return folder


def compressed(lora: Path, ranks: str, output: Path, *arguments: object) -> dict[str, Any]:
    outcome = loretta("compress", lora, "--tt-rank", ranks, "--output", output, *arguments, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.document


def refused(outcome: Outcome, said: str) -> None:
    assert_refused(outcome)
    assert said in outcome.stderr


def test_a_run_becomes_a_run_for_each_rank_with_a_table_of_all(lora_run: FinishedRun, tmp_path: Path) -> None:
    document = compressed(lora_run.path, f"2,{FULL}", tmp_path / "out")

    assert set(document) == KEYS
    assert (document["source"], document["task"], document["layers"]) == ("lora-run", "sst2", 4)
    low, full = document["ranks"]
    assert set(low) == set(full) == RANK_KEYS
    assert low["tt_rank"] == 2 < full["tt_rank"] < int(FULL)
    assert [Path(entry["output"]).name for entry in (low, full)] == ["rank-2", f"rank-{full['tt_rank']}"]
    assert 0.1 < low["mean_error"] <= low["worst_error"] < 1
    assert full["worst_error"] < 1e-5
    assert low["mean_error"] == pytest.approx(sum(low["errors"].values()) / 4)
    assert low["update_parameters"] < document["lora"]["update_parameters"]
    file = Path(low["output"]) / "adapter" / "adapter_model.safetensors"
    assert low["bytes"] == file.stat().st_size
    table = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert all(name in table for name in ("LoRA, rank 8", "TT rank 2 ", f"TT rank {full['tt_rank']} "))


def test_at_full_rank_the_run_has_the_metrics_and_the_logits_of_the_lora(
    lora_run: FinishedRun, tmp_path: Path
) -> None:
    document = compressed(lora_run.path, FULL, tmp_path / "out")

    after, before = document["ranks"][0]["metrics"], document["lora"]["metrics"]
    assert after == pytest.approx(before, abs=1e-5)
    trained = json.loads((lora_run.path / "report.json").read_text(encoding="utf-8"))
    assert before == pytest.approx(trained["metrics"], abs=1e-6)
    assert_close(run_logits(tmp_path / "out"), run_logits(lora_run.path))


def test_what_is_written_evaluates_merges_exports_and_loads_by_its_card(
    lora_run: FinishedRun, workplace: Workplace, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    document = compressed(lora_run.path, "3", out)

    told = loretta("eval", out, "--json").document["results"][0]
    assert told["metrics"] == pytest.approx(document["ranks"][0]["metrics"], abs=1e-6)
    assert loretta("merge", out, "--output", tmp_path / "merged", "--json").document["verified"]
    exported = loretta("export", out, "--format", "lora", "--output", tmp_path / "lora", "--json").document
    assert exported["verified"]
    assert exported["rank"] == 3
    (tmp_path / "cards").mkdir()
    [loaded] = card_logits([(out, workplace.encoder)], tmp_path / "cards")
    assert_close(loaded, run_logits(out))


def test_the_run_says_where_it_comes_from(lora_run: FinishedRun, tmp_path: Path) -> None:
    document = compressed(lora_run.path, "3", tmp_path / "out")

    assert files_below(tmp_path / "out") == [
        "README.md",
        "adapter",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "adapter/tokenizer.json",
        "adapter/tokenizer_config.json",
        "config.yaml",
        "fingerprints.json",
        "report.json",
    ]
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["compressed"]["from"] == "lora-run"
    assert report["compressed"]["errors"] == document["ranks"][0]["errors"]
    config = (tmp_path / "out" / "config.yaml").read_text(encoding="utf-8")
    assert "method: rep" in config
    assert "tt_rank: 3" in config
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "the LoRA `lora-run` of rank 8" in " ".join(card.split())
    assert str(tmp_path) not in card
    again = loretta("train", "--resume", "--output", tmp_path / "out")
    assert again.exit_code == 0, again.stderr


_LOAD = """
import json, pathlib, sys, torch
import loretta_cli.tuners
from peft import PeftModel
from transformers import AutoModelForCausalLM
found = []
for adapter in sys.argv[2:]:
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[1]), adapter).eval()
    with torch.no_grad():
        found.append(model(input_ids=torch.tensor([[5, 60, 61, 70]])).logits.flatten().tolist())
print(json.dumps(found))
"""


def test_a_lora_of_peft_without_a_task_becomes_an_adapter_folder(
    bare_lora: Path, workplace: Workplace, tmp_path: Path
) -> None:
    document = compressed(bare_lora, FULL, tmp_path / "out")

    assert document["task"] is None
    assert document["ranks"][0]["metrics"] is None
    assert files_below(tmp_path / "out") == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    ours, lora = json.loads(python(_LOAD, workplace.decoder, tmp_path / "out", bare_lora))
    assert max(abs(one - other) for one, other in zip(ours, lora, strict=True)) < 1e-4


def test_a_lora_of_peft_with_a_task_is_scored_and_becomes_a_run(
    bare_lora: Path, workplace: Workplace, tmp_path: Path
) -> None:
    arguments = ("--task", "sst2", "--data", workplace.sentences, "--rows", "4")
    document = compressed(bare_lora, f"1,{FULL}", tmp_path / "out", *arguments)

    assert (document["task"], document["rows"]) == ("sst2", 4)
    low, full = document["ranks"]
    assert full["metrics"] == pytest.approx(document["lora"]["metrics"], abs=1e-4)
    assert math.isfinite(low["metrics"]["loss"])
    assert loretta("eval", low["output"], "--rows", "4", "--json").document["results"][0][
        "metrics"
    ] == pytest.approx(low["metrics"], abs=1e-6)


def test_the_base_model_may_have_moved(bare_lora: Path, workplace: Workplace, tmp_path: Path) -> None:
    lora = Path(shutil.copytree(bare_lora, tmp_path / "lora"))
    settings = json.loads((lora / "adapter_config.json").read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = str(tmp_path / "gone")
    (lora / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    out = ("--tt-rank", "2", "--output", tmp_path / "out")

    refused(loretta("compress", lora, *out), "does not exist")
    assert loretta("compress", lora, *out, "--base", workplace.decoder).exit_code == 0
    assert not files_below(tmp_path / "gone")


def test_the_tables_are_printed_and_clamping_is_told(lora_run: FinishedRun, tmp_path: Path) -> None:
    outcome = loretta("compress", lora_run.path, "--tt-rank", "2,500,600", "--output", tmp_path / "out")

    assert "more than any bond can use" in outcome.stderr
    assert "more numbers than the LoRA" in outcome.stderr
    assert "attention.self.query" in outcome.stdout
    assert "LoRA, rank 8" in outcome.stdout
    assert len([name for name in (tmp_path / "out").iterdir() if name.is_dir()]) == 2


MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "no such folder": (("./no-such-lora",), "There is no folder"),
    "not a LoRA": (("{encoder}",), "neither adapter_config.json nor the config.yaml"),
    "a rep run": (("{rep}",), "this run is rep"),
    "a rep adapter": (("{rep}/adapter",), "is LORETTA_REP"),
    "rank of zero": (("{lora}", "--tt-rank", "4,0"), "'0'"),
    "rank of text": (("{lora}", "--tt-rank", "big"), "'big'"),
    "rank of nothing": (("{lora}", "--tt-rank", "4,"), "''"),
    "output is taken": (("{lora}", "--output", "{lora}"), "exists and is not empty"),
    "task for a run": (("{lora}", "--task", "sst2"), "on its own task"),
    "unknown task": (("{bare}", "--task", "sst22"), "Did you mean 'sst2'?"),
    "data without a task": (("{bare}", "--data", "x"), "without a task"),
    "setting of a training": (
        ("{bare}", "--task", "sst2", "--set", "training.epochs=3"),
        "does not read training.epochs",
    ),
    "another base": (("{bare}", "--base", "{encoder}"), "not found in the base model"),
    "missing data": (("{lora}", "--data", "./no-such.csv"), "no such file or folder"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_refused_and_nothing_is_written(
    case: str,
    workplace: Workplace,
    rep_run: FinishedRun,
    lora_run: FinishedRun,
    bare_lora: Path,
    tmp_path: Path,
) -> None:
    places = {
        "encoder": workplace.encoder,
        "rep": rep_run.path,
        "lora": lora_run.path,
        "bare": bare_lora,
    }
    arguments = [part.format(**places) for part in MISTAKES[case][0]]
    if "--tt-rank" not in arguments:
        arguments += ["--tt-rank", "2"]
    if "--output" not in arguments:
        arguments += ["--output", str(tmp_path / "out")]

    refused(loretta("compress", *arguments, cwd=tmp_path), MISTAKES[case][1])
    assert not files_below(tmp_path)


def _cut(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _pickle(folder: Path, name: str = "adapter_model.bin") -> None:
    import torch

    (folder / WEIGHTS).unlink()
    torch.save({"a": torch.zeros(2)}, folder / name)


def _set(folder: Path, name: str, value: object) -> None:
    file = folder / "adapter_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**settings, name: value}), encoding="utf-8")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "tensors cut short": (_cut, "cannot be read"),
    "no tensors": (lambda folder: (folder / "adapter_model.safetensors").unlink(), "has no adapter_model"),
    "a pickle": (_pickle, "a pickle, which may run code"),
    "a pickle under the other name": (lambda folder: _pickle(folder, WEIGHTS), "cannot be read"),
    "broken config": (
        lambda folder: (folder / "adapter_config.json").write_text("{"),
        "expected a JSON object",
    ),
    "empty config": (lambda folder: (folder / "adapter_config.json").write_text("{}"), "says no peft_type"),
    "DoRA": (lambda folder: _set(folder, "use_dora", True), "DoRA"),
    "another rank": (lambda folder: _set(folder, "r", 5), "config says 5"),
    "no rank": (lambda folder: _set(folder, "r", 0), "has r: 0; expected a whole number of at least 1"),
    "no alpha": (lambda folder: _set(folder, "lora_alpha", None), "has lora_alpha: null; expected a number"),
    "a newer PEFT": (lambda folder: _set(folder, "use_tora", True), "does not know: use_tora"),
    "trained biases": (lambda folder: _set(folder, "bias", "all"), "trained biases"),
    "PiSSA": (lambda folder: _set(folder, "init_lora_weights", "pissa"), "changes the base model"),
    "a task type": (lambda folder: _set(folder, "task_type", "TOKEN_CLS"), "task type TOKEN_CLS"),
    "no base": (lambda folder: _set(folder, "base_model_name_or_path", None), "Add --base"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_lora_that_cannot_be_taken_is_refused(case: str, bare_lora: Path, tmp_path: Path) -> None:
    lora = Path(shutil.copytree(bare_lora, tmp_path / "lora"))
    damage, said = DAMAGES[case]
    damage(lora)

    refused(loretta("compress", lora, "--tt-rank", "2", "--output", tmp_path / "out"), said)
    assert [path.name for path in tmp_path.iterdir()] == ["lora"]


def test_a_run_whose_adapter_was_changed_is_refused(
    lora_run: FinishedRun, copied: Callable[[FinishedRun], Path], tmp_path: Path
) -> None:
    run = copied(lora_run)
    file = run / "adapter" / "adapter_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)

    refused(loretta("compress", run, "--tt-rank", "2", "--output", tmp_path / "out"), "is damaged")
    assert not (tmp_path / "out").exists()
