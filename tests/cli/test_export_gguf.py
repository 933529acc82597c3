"""``loretta export --format gguf``: the merged model, checked in llama.cpp where its base is a GGUF file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("gguf", reason="the extra export is not installed")

import gguf

from loretta_cli.artifacts.engines import llama_cpp
from loretta_cli.artifacts.export import gguf as export_gguf
from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.cli.logits import assert_close, plain_transformers, run_logits
from tests.command_line import Outcome, files_below, loretta

needs_llama_cpp = pytest.mark.skipif(
    not llama_cpp.is_installed(), reason="the extra test-export is not installed"
)
KEYS = {
    *("output", "format", "verified", "max_abs_difference", "tolerance", "engine", "unverified_because"),
    *("type", "base_type", "architecture", "template", "merged_difference", "converter", "schema_version"),
    *("continuations", "same_continuations", "near_ties"),
}


def export(run: Path, *arguments: object) -> Outcome:
    return loretta("export", run, "--format", "gguf", "--json", *arguments)


def trained(workplace: Workplace, folder: Path, *arguments: object, model: Path | None = None) -> Path:
    model = model or workplace.folder / "gguf" / "decoder.gguf"
    outcome = loretta(
        *("train", "--model", model, "--task", "sst2", "--data", workplace.sentences),
        *("--output", folder, *FEW_STEPS, *arguments),
    )
    assert outcome.exit_code == 0, outcome.stderr
    return folder


@needs_llama_cpp
@pytest.mark.parametrize(
    ("asked", "kind", "tolerance", "expected"),
    [((), "f16", 0.05, 0.02), (("--type", "f32"), "f32", 0.05, 1e-4), (("--type", "q8_0"), "q8_0", 0.5, 0.3)],
)
def test_each_type_is_checked_in_llama_cpp(
    gguf_run: FinishedRun,
    tmp_path: Path,
    asked: tuple[str, ...],
    kind: str,
    tolerance: float,
    expected: float,
) -> None:
    outcome = export(gguf_run.path, *asked, "--output", tmp_path / "out")

    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert set(document) == KEYS
    assert (document["verified"], document["tolerance"]) == (True, tolerance)
    assert document["max_abs_difference"] < expected
    assert (document["type"], document["base_type"], document["architecture"]) == (kind, "f32", "llama")
    assert document["continuations"] == 10
    if kind != "q8_0":
        assert document["same_continuations"] == 10
    assert document["engine"] == llama_cpp.engine_name()
    assert files_below(tmp_path / "out") == ["Modelfile", "README.md", "model.gguf"]
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "out" / "model.gguf").tensors}
    assert tensors["blk.0.attn_q.weight"].tensor_type.name == kind.upper()


def test_the_card_and_the_modelfile_serve_it(gguf_run: FinishedRun, tmp_path: Path) -> None:
    assert export(gguf_run.path, "--output", tmp_path / "out").exit_code == 0

    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "library_name: gguf" in card
    assert "llama-server -m model.gguf\n" in card
    assert "--type f16" in card
    assert "## Sizes" in card
    lines = (tmp_path / "out" / "Modelfile").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "FROM ./model.gguf"
    assert not any(line.startswith("ADAPTER") for line in lines)


@needs_llama_cpp
@pytest.mark.parametrize(
    "arguments",
    [
        ("--method", "rep", "--set", "adapter.train_norms=true"),
        ("--method", "lora"),
        ("--method", "ia3"),
    ],
)
def test_whatever_merges_is_carried_whole(
    gguf_run: FinishedRun, workplace: Workplace, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    run = trained(workplace, tmp_path / "run", *arguments, "--set", "training.learning_rate=0.05")

    outcome = export(run, "--type", "f32")

    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.document["verified"] is True
    assert outcome.document["max_abs_difference"] < 1e-3


@needs_llama_cpp
def test_a_file_that_llama_cpp_reads_otherwise_is_not_left(
    gguf_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = export_gguf.write_model

    def without_order(file: Path, base: Path, values: object, config: object, number_type: str) -> None:
        # Rows of queries and keys stay as transformers has them.
        monkeypatch.setattr("loretta_cli.models.gguf_names.in_gguf_order", lambda weight, *_: weight)
        written(file, base, values, config, number_type)  # type: ignore[arg-type]

    monkeypatch.setattr(export_gguf, "write_model", without_order)

    outcome = export(gguf_run.path, "--output", tmp_path / "out" / "deep", "--type", "q8_0")

    assert outcome.exit_code == 1
    assert outcome.document["error"]["type"] == "ExportError"
    assert "nothing was written" in outcome.document["error"]["message"]
    assert not files_below(tmp_path / "out")


def test_without_the_engine_the_reason_is_told(
    gguf_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp, "is_installed", lambda: False)

    document = export(gguf_run.path, "--output", tmp_path / "out").document

    assert (document["verified"], document["max_abs_difference"]) == (False, None)
    assert "pip install xllamacpp" in document["unverified_because"]
    assert (tmp_path / "out" / "model.gguf").is_file()


def test_of_another_base_there_is_the_merged_folder_and_the_converter_s_command(
    prompt_run: FinishedRun, tmp_path: Path
) -> None:
    outcome = export(prompt_run.path, "--type", "q8_0", "--output", tmp_path / "out")

    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert set(document) == KEYS
    assert (document["verified"], document["type"]) == (False, "q8_0")
    assert "no GGUF file" in document["unverified_because"]
    assert document["merged_difference"] < 1e-4
    command = "python convert_hf_to_gguf.py merged --outfile model.gguf --outtype q8_0"
    assert document["converter"] == command
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert card.index(command) < card.index("llama-server -m model.gguf")
    assert "FROM ./model.gguf\n" in (tmp_path / "out" / "Modelfile").read_text(encoding="utf-8")
    (logits,) = plain_transformers([(tmp_path / "out" / "merged", "causal")])
    assert_close(logits, run_logits(prompt_run.path))


def test_methods_and_heads_that_no_such_file_holds_are_refused(
    adp_run: FinishedRun, rep_run: FinishedRun, tmp_path: Path
) -> None:
    adp = export(adp_run.path, "--output", tmp_path / "adp")
    head = export(rep_run.path, "--output", tmp_path / "head")

    assert (adp.exit_code, head.exit_code) == (2, 2)
    assert "nonlinear" in adp.document["error"]["message"]
    assert "classification head" in head.document["error"]["message"]
    assert not files_below(tmp_path)


def test_an_architecture_that_the_converter_does_not_know_is_refused(
    workplace: Workplace, tmp_path: Path
) -> None:
    from tests.tiny_folders import decoder_tokenizer
    from tests.tiny_models import tiny_model

    tokenizer = decoder_tokenizer()
    tiny_model("opt", vocab_size=len(tokenizer), max_position_embeddings=128).save_pretrained(
        tmp_path / "opt"
    )
    tokenizer.save_pretrained(tmp_path / "opt")
    run = trained(workplace, tmp_path / "run", "--method", "rep", model=tmp_path / "opt")

    outcome = export(run)

    assert outcome.exit_code == 2
    assert "type opt has no GGUF export" in outcome.document["error"]["message"]
    assert not (run / "gguf").exists()


def test_a_type_that_the_format_has_not_is_refused(gguf_run: FinishedRun, tmp_path: Path) -> None:
    outcome = export(gguf_run.path, "--type", "q4_0", "--output", tmp_path / "out")

    assert outcome.exit_code == 2
    assert "expected one of f32, f16, q8_0" in outcome.document["error"]["message"]
    assert "Did you mean 'q8_0'?" in outcome.document["error"]["hint"]
    assert not files_below(tmp_path)


def test_without_the_gguf_package_the_extra_is_named(
    gguf_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)

    outcome = export(gguf_run.path, "--output", tmp_path / "out")

    assert outcome.exit_code == 2
    assert "loretta-cli[export]" in outcome.document["error"]["hint"]
    assert not files_below(tmp_path)
