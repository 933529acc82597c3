"""``loretta export --format onnx``: the whole model, checked in onnxruntime, run from its card alone."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="the extra export is not installed")
pytest.importorskip("onnxscript", reason="the extra export is not installed")

from loretta_cli.artifacts.engines import onnx_runtime
from loretta_cli.artifacts.export import onnx_check
from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.command_line import Outcome, files_below, loretta, python
from tests.tiny_masked import save_tiny_masked

needs_onnxruntime = pytest.mark.skipif(
    not onnx_runtime.is_installed(), reason="the extra export is not installed"
)
KEYS = {
    *("output", "format", "verified", "max_abs_difference", "tolerance", "engine", "unverified_because"),
    *("files", "inputs", "opset", "nodes", "quantization", "predictions", "same_predictions"),
    "schema_version",
}
OURS = ("loretta_cli", "torch", "peft", "safetensors")


def export(run: Path, *arguments: object) -> Outcome:
    return loretta("export", run, "--format", "onnx", "--json", *arguments)


def trained(workplace: Workplace, folder: Path, model: Path, *arguments: object) -> Path:
    outcome = loretta(
        *("train", "--model", model, "--task", "sst2", "--data", workplace.sentences),
        *("--output", folder, *FEW_STEPS, *arguments),
    )
    assert outcome.exit_code == 0, outcome.stderr
    return folder


def card_snippet(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]


def refused(outcome: Outcome, folder: Path) -> dict[str, str]:
    assert outcome.exit_code == 2
    assert not folder.exists()
    error: dict[str, str] = outcome.document["error"]
    return error


@needs_onnxruntime
def test_a_classifier_with_adp_agrees_and_its_card_runs_without_torch(
    adp_run: FinishedRun, tmp_path: Path
) -> None:
    outcome = export(adp_run.path, "--output", tmp_path / "out")

    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert set(document) == KEYS
    assert (document["verified"], document["format"]) == (True, "onnx")
    assert document["max_abs_difference"] <= document["tolerance"] == 1e-4
    assert document["same_predictions"] == document["predictions"] == 3
    assert document["inputs"] == ["input_ids", "attention_mask"]
    assert document["engine"] == onnx_runtime.engine_name()
    assert files_below(tmp_path / "out") == [
        *("README.md", "config.json", "model.onnx", "tokenizer.json", "tokenizer_config.json"),
    ]
    assert "Warning" not in outcome.stderr
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "angry", "1": "calm", "2": "glad"}
    told = python(card_snippet(tmp_path / "out"), cwd=tmp_path / "out", blocked=OURS)
    answers = json.loads(told.replace("'", '"'))
    assert len(answers) == 2
    assert set(answers) <= {"angry", "calm", "glad"}


@needs_onnxruntime
def test_a_language_model_with_rep_folded_in_agrees_and_its_card_writes(
    prompt_run: FinishedRun, tmp_path: Path
) -> None:
    outcome = export(prompt_run.path, "--output", tmp_path / "out")

    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert document["verified"] is True
    assert document["inputs"] == ["input_ids", "attention_mask"]
    assert document["same_predictions"] == document["predictions"] > 100, "of many tokens"
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "folded into the weights" in card
    assert "no cache of keys and values" in card
    assert (tmp_path / "out" / "generation_config.json").is_file()
    import onnx

    nodes = onnx.load(tmp_path / "out" / "model.onnx").graph.node
    products = [node for node in nodes if node.op_type in ("MatMul", "Gemm")]
    assert len(products) <= 2 * (7 + 2) + 2, "seven layers, two of attention, the rotation and the output"
    assert python(card_snippet(tmp_path / "out"), cwd=tmp_path / "out", blocked=OURS).strip()


MASKED_PROMPT = "task.masked_prompt='It was {mask}: {sentence}'"


@needs_onnxruntime
@pytest.mark.parametrize(
    ("kind", "method", "asked"), [("bert", "rep", ()), ("roberta", "adp", ("--set", MASKED_PROMPT))]
)
def test_a_masked_language_model_agrees_and_its_card_fills_the_gap(
    kind: Any, method: str, asked: tuple[str, ...], workplace: Workplace, tmp_path: Path
) -> None:
    model = save_tiny_masked(tmp_path / kind, kind)
    form = ("--set", "task.form=masked", *asked)
    run = trained(workplace, tmp_path / "run", model, "--method", method, *form)

    outcome = export(run, "--output", tmp_path / "out")

    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert document["verified"] is True
    assert document["max_abs_difference"] < 1e-4
    assert document["same_predictions"] == document["predictions"] > 10
    assert_same_as_the_run(run, tmp_path / "out" / "model.onnx")
    snippet = card_snippet(tmp_path / "out")
    assert ("(sentence)" in snippet, "{sentence}" in snippet) == (True, False)
    assert python(snippet, cwd=tmp_path / "out", blocked=OURS).strip() in ("terrible", "great")


def assert_same_as_the_run(run: Path, file: Path) -> None:
    """onnxruntime's log-probability of each label word at the gap of every row is that of the run."""
    import onnxruntime
    import torch

    from loretta_cli.artifacts.restore import restore
    from loretta_cli.artifacts.run_folder import RunFolder
    from loretta_cli.tasks.forms.masked import MaskedForm

    restored = restore(RunFolder(run))
    form = restored.plan.form
    assert isinstance(form, MaskedForm)
    rows = form.encode(restored.plan.data.validation).rows
    session = onnxruntime.InferenceSession(file)
    for row, told in zip(rows, form.predict(restored.model, rows), strict=True):
        ids = torch.tensor([row["input_ids"]])
        inputs = {"input_ids": ids.numpy(), "attention_mask": torch.ones_like(ids).numpy()}
        (logits,) = session.run(None, inputs)
        gap = row["input_ids"].index(form.tokenizer.mask_token_id)
        found = torch.tensor(logits[0, gap]).log_softmax(-1)[list(form.words)]
        torch.testing.assert_close(found, torch.tensor(told.scores), rtol=0, atol=1e-4)


@needs_onnxruntime
@pytest.mark.parametrize(
    "method",
    [
        *(pytest.param(method, marks=pytest.mark.slow) for method in ("adapters", "head", "ia3")),
        *(
            pytest.param(method, marks=pytest.mark.exhaustive)
            for method in ("bitfit", "full", "lora", "vera")
        ),
    ],
)
def test_every_other_method_that_changes_the_model_alone_exports(
    method: str, workplace: Workplace, tmp_path: Path
) -> None:
    run = trained(workplace, tmp_path / "run", workplace.encoder, "--method", method)

    document = export(run).document

    assert document["verified"] is True
    assert (run / "onnx" / "model.onnx").is_file()


@needs_onnxruntime
@pytest.mark.slow
@pytest.mark.parametrize("family", ["roberta", "deberta"])
def test_a_head_of_trains_and_trained_norms_are_in_the_graph(
    family: str, paper_run: Callable[[str], FinishedRun], tmp_path: Path
) -> None:
    assert export(paper_run(family).path, "--output", tmp_path / "out").document["verified"] is True


@needs_onnxruntime
@pytest.mark.slow
def test_a_run_in_half_precision_is_exported_in_fp32(workplace: Workplace, tmp_path: Path) -> None:
    half = ("--set", "model.dtype=bfloat16", "--method", "adp")
    run = trained(workplace, tmp_path / "run", workplace.decoder, *half)

    document = export(run).document

    assert document["verified"] is True
    config = json.loads((run / "onnx" / "config.json").read_text(encoding="utf-8"))
    assert config["dtype"] == "float32"


@needs_onnxruntime
@pytest.mark.slow
def test_a_quantised_base_is_exported_as_the_numbers_it_stands_for(
    workplace: Workplace, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra quant is not installed")
    from tests.tiny_folders import save_tiny_encoder

    wide = save_tiny_encoder(tmp_path / "wide", hidden=64)
    run = trained(workplace, tmp_path / "run", wide, "--method", "adp", "--set", "model.quantization=nf4")

    document = export(run).document

    assert (document["verified"], document["quantization"]) == (True, "nf4")
    assert "quantised to nf4" in (run / "onnx" / "README.md").read_text(encoding="utf-8")
    config = json.loads((run / "onnx" / "config.json").read_text(encoding="utf-8"))
    assert "quantization_config" not in config


@needs_onnxruntime
def test_another_answer_of_onnxruntime_leaves_nothing(
    rep_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_check, "TOLERANCE", -1.0)
    monkeypatch.setattr(onnx_check, "RELATIVE_TOLERANCE", dict.fromkeys(onnx_check.RELATIVE_TOLERANCE, -1.0))

    outcome = export(rep_run.path, "--output", tmp_path / "deep" / "out")

    assert outcome.exit_code == 1
    assert "onnxruntime differs from base and adapter" in outcome.document["error"]["message"]
    assert not (tmp_path / "deep" / "out").exists()
    assert not files_below(tmp_path / "deep")


def test_without_onnxruntime_it_is_written_and_the_reason_told(
    rep_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_runtime, "is_installed", lambda: False)

    document = export(rep_run.path, "--output", tmp_path / "out").document

    assert (document["verified"], document["max_abs_difference"]) == (False, None)
    assert document["unverified_because"] == "it is not installed: pip install onnxruntime"
    assert (tmp_path / "out" / "model.onnx").is_file()
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "not checked in onnxruntime: it is not installed" in card


def test_without_the_exporters_packages_nothing_begins(
    rep_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else found(name))
    monkeypatch.delitem(sys.modules, "loretta_cli.artifacts.export.onnx", raising=False)

    error = refused(export(rep_run.path, "--output", tmp_path / "out"), tmp_path / "out")

    assert error["message"] == "ONNX files need onnx, which is not installed."
    assert error["hint"] == "pip install 'loretta-cli[export]'"


def test_virtual_tokens_are_refused(workplace: Workplace, tmp_path: Path) -> None:
    run = trained(workplace, tmp_path / "run", workplace.decoder, "--method", "prompt")

    error = refused(export(run, "--output", tmp_path / "out"), tmp_path / "out")

    assert "virtual tokens (prompt)" in error["message"]
    assert "adp, rep" in error["hint"]


def test_an_encoder_decoder_is_refused(workplace: Workplace, tmp_path: Path) -> None:
    from tests.tiny_folders import save_tiny_encoder_decoder

    model = save_tiny_encoder_decoder(tmp_path / "t5")
    run = trained(workplace, tmp_path / "run", model, "--method", "rep")

    error = refused(export(run, "--output", tmp_path / "out"), tmp_path / "out")

    assert "An encoder-decoder (t5) does not export as ONNX" in error["message"]
    assert "loretta merge" in error["hint"]
