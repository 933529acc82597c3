"""Runs on a quantised base: train, eval, resume, merge, export and dry runs, on the CPU."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.cli.logits import assert_close, card_logits, plain_transformers, run_logits
from tests.cli.refusal import assert_refused
from tests.command_line import Outcome, files_below, loretta, metric_records, python

pytest.importorskip("bitsandbytes")

WIDTH = 64
"""Of the models: one block of a 4-bit weight."""

QUANTIZED_PEFT = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig
base, adapter, dtype = sys.argv[1], sys.argv[2], torch.float32
quantizer = BitsAndBytesConfig(
    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
    bnb_4bit_compute_dtype=dtype, llm_int8_skip_modules=["classifier"],
)
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, quantization_config=quantizer)
model = PeftModel.from_pretrained(model, adapter)
for layer in model.modules():
    if type(layer).__name__ == "Linear4bit":
        layer.support_avx512bf16_for_cpu = False
model.eval()
ids = torch.tensor([[5, 60, 61, 70, 90, 100]])
with torch.no_grad():
    print(json.dumps(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.flatten().tolist()))
"""
"""Arguments: base folder; LoRA folder."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny encoder and a tiny decoder that 4-bit weights fit."""
    from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder

    folder = tmp_path_factory.mktemp("wide")
    return {
        "encoder": save_tiny_encoder(folder / "encoder", hidden=WIDTH),
        "decoder": save_tiny_decoder(folder / "decoder", hidden=WIDTH),
    }


def train(
    workplace: Workplace, model: Path, output: Path, kind: str, method: str, *more: str, steps: bool = True
) -> Outcome:
    arguments = ("--model", model, "--task", "sst2", "--data", workplace.sentences, "--method", method)
    settings = ("--set", f"model.quantization={kind}", *(FEW_STEPS if steps else ()))
    return loretta("train", "--output", output, *arguments, *settings, *more)


@pytest.fixture(scope="module")
def runs(
    models: dict[str, Path], workplace: Workplace, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str, str], FinishedRun]:
    """Finished runs by kind, method and model; no test may change them."""
    folder = tmp_path_factory.mktemp("runs")
    made: dict[tuple[str, str, str], FinishedRun] = {}

    def run(kind: str, method: str, model: str = "encoder") -> FinishedRun:
        key = (kind, method, model)
        if key not in made:
            output = folder / "-".join(key)
            outcome = train(workplace, models[model], output, kind, method, "--json")
            assert outcome.exit_code == 0, outcome.stderr
            made[key] = FinishedRun(output, outcome)
        return made[key]

    return run


EVERY = [
    ("nf4", "rep", "encoder"),
    ("nf4", "adp", "decoder"),
    ("fp4", "rep", "decoder"),
    ("int8", "rep", "encoder"),
    ("int8", "adp", "encoder"),
]


@pytest.mark.parametrize(("kind", "method", "model"), EVERY)
def test_a_run_trains_and_eval_gives_its_metrics(
    runs: Callable[..., FinishedRun], models: dict[str, Path], kind: str, method: str, model: str
) -> None:
    run = runs(kind, method, model)
    document = run.outcome.document
    assert yaml.safe_load((run.path / "config.yaml").read_text())["model"]["quantization"] == kind
    assert json.loads((run.path / "environment.json").read_text())["packages"]["bitsandbytes"]
    assert f"{'classification' if model == 'encoder' else 'prompt'}, {kind})" in run.outcome.stderr
    assert "bitsandbytes" not in run.outcome.stderr, "no words of another package"
    losses = [record["loss"] for record in metric_records(run.path) if record["split"] == "train"]
    assert len(set(losses)) == len(losses) > 1

    counted = loretta("count-params", "--model", models[model], "--method", method, "--json").document
    assert document["total_parameters"] == counted["total"]
    assert document["trainable_parameters"] == counted["trainable"]

    result = loretta("eval", run.path, "--json").document["results"][0]
    found, expected = result["metrics"], document["metrics"]
    assert found.keys() <= expected.keys()
    assert all(found[name] == pytest.approx(expected[name], abs=1e-6) for name in found)


def test_the_base_model_may_be_evaluated_quantised(models: dict[str, Path], workplace: Workplace) -> None:
    base = ("eval", "--model", models["decoder"], "--task", "sst2", "--data", workplace.sentences, "--json")
    plain, four_bits = (
        loretta(*base, *more).document["results"][0]["metrics"]
        for more in ((), ("--set", "model.quantization=nf4"))
    )
    assert plain.keys() == four_bits.keys()


def test_a_resumed_run_gives_what_an_uninterrupted_one_gives(
    runs: Callable[..., FinishedRun], models: dict[str, Path], workplace: Workplace, tmp_path: Path
) -> None:
    whole, part = runs("nf4", "rep").path, tmp_path / "part"
    shutil.copytree(whole, part)
    for name in ("adapter", "best"):
        shutil.rmtree(part / name)
    (part / "report.json").unlink()
    shutil.rmtree(part / "checkpoints" / "checkpoint-6")

    outcome = loretta("train", "--output", part, "--resume", "--json")

    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.document["metrics"] == runs("nf4", "rep").outcome.document["metrics"]
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (part / "adapter" / file).read_bytes() == (whole / "adapter" / file).read_bytes()


def test_another_quantisation_contradicts_a_resumed_run(
    runs: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    outcome = loretta(
        "train", "--output", runs("nf4", "rep").path, "--resume", "--set", "model.quantization=int8"
    )
    assert_refused(outcome)
    assert "model.quantization" in outcome.stderr


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_merging_into_quantised_weights_is_refused_with_the_way_out(
    runs: Callable[..., FinishedRun], kind: str, tmp_path: Path
) -> None:
    outcome = loretta("merge", runs(kind, "rep").path, "--output", tmp_path / "merged")
    assert outcome.exit_code == 2
    assert_refused(outcome)
    assert f"is quantised ({kind})" in outcome.stderr
    assert "--dequantize" in outcome.stderr
    assert not files_below(tmp_path)


@pytest.mark.parametrize(("kind", "model"), [("nf4", "encoder"), ("int8", "encoder"), ("fp4", "decoder")])
def test_dequantize_writes_an_ordinary_model_and_compares_it_with_the_dequantised_base(
    runs: Callable[..., FinishedRun], kind: str, model: str, tmp_path: Path
) -> None:
    run = runs(kind, "rep", model)
    outcome = loretta("merge", run.path, "--dequantize", "--output", tmp_path / "merged", "--json")

    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert (document["verified"], document["dequantized"]) == (True, kind)
    assert document["max_abs_logit_difference"] <= 1e-4
    assert f"base (dequantised from {kind})" in outcome.stderr
    assert "quantization_config" not in json.loads((tmp_path / "merged" / "config.json").read_text())
    assert f"quantised to {kind}" in (tmp_path / "merged" / "README.md").read_text(encoding="utf-8")
    numbers = run.outcome.document["total_parameters"]
    assert (tmp_path / "merged" / "model.safetensors").stat().st_size > 4 * numbers


def test_a_dequantised_merge_needs_transformers_only_and_agrees_with_the_run(
    runs: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    run = runs("nf4", "rep")
    assert loretta("merge", run.path, "--dequantize", "--output", tmp_path / "merged").exit_code == 0
    (plain,) = plain_transformers([(tmp_path / "merged", "classifier")], blocked=("bitsandbytes",))
    assert_close(plain, run_logits(run.path))


def test_the_table_of_a_merge_says_what_was_compared(
    runs: Callable[..., FinishedRun], tmp_path: Path
) -> None:
    outcome = loretta("merge", runs("nf4", "rep").path, "--dequantize", "--output", tmp_path / "merged")
    assert "base, dequantised from nf4, and adapter" in outcome.stdout


def test_dequantize_is_refused_where_nothing_is_quantised(rep_run: FinishedRun, tmp_path: Path) -> None:
    outcome = loretta("merge", rep_run.path, "--dequantize", "--output", tmp_path / "merged")
    assert_refused(outcome)
    assert "is not quantised" in outcome.stderr
    assert not files_below(tmp_path)


def test_adp_is_refused_for_its_own_reason(runs: Callable[..., FinishedRun], tmp_path: Path) -> None:
    outcome = loretta("merge", runs("int8", "adp").path, "--dequantize", "--output", tmp_path / "merged")
    assert_refused(outcome)
    assert "nonlinearity" in outcome.stderr


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_the_exported_lora_says_what_it_was_trained_on(
    runs: Callable[..., FinishedRun], kind: str, tmp_path: Path
) -> None:
    run = runs(kind, "rep")
    outcome = loretta("export", run.path, "--format", "lora", "--output", tmp_path / "lora", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert (outcome.document["verified"], outcome.document["quantization"]) == (True, kind)
    assert f"trained on a base quantised to {kind}" in outcome.stderr
    assert f"quantised to {kind}" in (tmp_path / "lora" / "README.md").read_text(encoding="utf-8")


def test_the_exported_lora_gives_the_same_on_a_quantised_base_with_plain_peft(
    runs: Callable[..., FinishedRun], models: dict[str, Path], tmp_path: Path
) -> None:
    run = runs("nf4", "rep")
    assert loretta("export", run.path, "--format", "lora", "--output", tmp_path / "lora").exit_code == 0
    plain = python(QUANTIZED_PEFT, models["encoder"], tmp_path / "lora", blocked=("loretta_cli",))
    assert_close(json.loads(plain), run_logits(run.path))


def test_the_snippet_of_the_card_gives_the_same_logits(
    runs: Callable[..., FinishedRun], models: dict[str, Path], tmp_path: Path
) -> None:
    run = runs("nf4", "rep")
    assert card_logits([(run.path, models["encoder"])], tmp_path) == [run_logits(run.path)]


def test_a_dry_run_tells_of_the_quantisation(models: dict[str, Path], workplace: Workplace) -> None:
    here = workplace.folder / "never"
    outcome = train(workplace, models["encoder"], here, "nf4", "rep", "--dry-run")
    assert outcome.exit_code == 0, outcome.stderr
    assert "linear layers in nf4" in outcome.stdout
    row = next(line for line in outcome.stdout.splitlines() if "model.quantization" in line)
    assert row.split()[1:] == ["nf4", "--set"]
    assert not here.exists()


def test_the_next_command_merges_as_it_must(
    models: dict[str, Path], workplace: Workplace, tmp_path: Path
) -> None:
    outcome = train(workplace, models["encoder"], tmp_path / "run", "int8", "rep")
    merge = next(line for line in outcome.stdout.splitlines() if "loretta merge" in line)
    assert " --dequantize " in merge
    assert loretta(*merge.split()[1:]).exit_code == 0


def test_noise_reduction_works_on_a_quantised_base(
    models: dict[str, Path], workplace: Workplace, tmp_path: Path
) -> None:
    more = ("--set", "adapter.init=noise-reduction", "--json")
    outcome = train(workplace, models["encoder"], tmp_path / "run", "nf4", "rep", *more)
    assert outcome.exit_code == 0, outcome.stderr
    merged = loretta("merge", tmp_path / "run", "--dequantize", "--json").document
    assert merged["verified"] is True


def test_lora_trains_on_a_quantised_base_for_comparison(
    models: dict[str, Path], workplace: Workplace, tmp_path: Path
) -> None:
    outcome = train(workplace, models["encoder"], tmp_path / "run", "nf4", "lora", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert loretta("eval", tmp_path / "run", "--json").exit_code == 0
    assert loretta("merge", tmp_path / "run").exit_code == 2
    assert loretta("merge", tmp_path / "run", "--dequantize", "--json").document["verified"] is True


@pytest.fixture(scope="module")
def stored(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder whose weights lie on disk in nf4."""
    from tests.quantized_models import save_quantized_copy

    return save_quantized_copy(models["decoder"], tmp_path_factory.mktemp("stored") / "decoder", "nf4")


def test_a_model_stored_quantised_trains_and_merges_as_it_is(
    stored: Path, workplace: Workplace, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ("train", "--model", stored, "--task", "sst2", "--data", workplace.sentences, "--output", run)
    outcome = loretta(*command, *FEW_STEPS, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["quantization"] == "nf4"
    assert "quantization_config" not in (run / "README.md").read_text(encoding="utf-8")
    assert loretta("merge", run).exit_code == 2
    merged = loretta("merge", run, "--dequantize", "--json")
    assert merged.document["verified"] is True
    dry = loretta(*command[:-2], "--dry-run")
    row = next(line for line in dry.stdout.splitlines() if "model.quantization" in line)
    assert "found in the model" in row


def test_another_quantisation_than_the_stored_one_is_refused(
    stored: Path, workplace: Workplace, tmp_path: Path
) -> None:
    outcome = train(workplace, stored, tmp_path / "run", "int8", "rep")
    assert_refused(outcome)
    assert "stored in nf4 already" in outcome.stderr
    assert not files_below(tmp_path)


@pytest.mark.parametrize("flag", [(), ("--dry-run",)])
def test_without_bitsandbytes_one_sentence_says_how_to_get_it(
    flag: tuple[str, ...],
    models: dict[str, Path],
    workplace: Workplace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    outcome = train(workplace, models["encoder"], tmp_path / "run", "nf4", "rep", *flag)
    assert_refused(outcome)
    assert "needs the package bitsandbytes" in outcome.stderr
    assert "pip install 'loretta-cli[quant]'" in outcome.stderr
    assert not files_below(tmp_path)


def test_a_width_that_four_bits_cannot_have_on_a_cpu_is_refused(workplace: Workplace, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU has no such limit")
    outcome = train(workplace, workplace.encoder, tmp_path / "run", "nf4", "rep")
    assert_refused(outcome)
    assert "multiple of 64" in outcome.stderr
    assert "int8" in outcome.stderr
    assert not files_below(tmp_path)


def _gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


@pytest.mark.gpu
@pytest.mark.skipif(not _gpu(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("kind", ["nf4", "int8"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_on_a_gpu_a_run_trains_and_merges(
    kind: str, dtype: str, models: dict[str, Path], workplace: Workplace, tmp_path: Path
) -> None:
    more = ("--set", f"model.dtype={dtype}", "--json")
    outcome: Any = train(workplace, models["decoder"], tmp_path / "run", kind, "rep", *more)
    assert outcome.exit_code == 0, outcome.stderr
    merged = loretta("merge", tmp_path / "run", "--dequantize", "--json")
    assert merged.exit_code == 0, merged.stderr
    assert merged.document["verified"] is True
