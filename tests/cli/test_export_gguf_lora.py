"""``loretta export --format gguf-lora``: checked in llama.cpp, refused where the format cannot carry it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("gguf", reason="the extra export is not installed")

from loretta_cli.artifacts.engines import llama_cpp
from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.command_line import Outcome, files_below, loretta
from tests.gguf_models import write_gguf
from tests.tiny_folders import decoder_tokenizer, save_tiny_decoder
from tests.tiny_models import tiny_model

needs_llama_cpp = pytest.mark.skipif(
    not llama_cpp.is_installed(), reason="the extra test-export is not installed"
)
KEYS = {
    *("output", "format", "verified", "max_abs_difference", "tolerance", "engine", "unverified_because"),
    *(
        "rank",
        "architecture",
        "template",
        "continuations",
        "same_continuations",
        "near_ties",
        "schema_version",
    ),
}


@pytest.fixture(scope="module")
def base_gguf(workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The decoder of the workplace as a GGUF file."""
    return as_gguf(workplace.decoder, tmp_path_factory.mktemp("gguf") / "decoder.gguf")


def as_gguf(folder: Path, file: Path) -> Path:
    from transformers import AutoModelForCausalLM

    return write_gguf(AutoModelForCausalLM.from_pretrained(folder), decoder_tokenizer(), file)


def export(run: Path, *arguments: object) -> Outcome:
    return loretta("export", run, "--format", "gguf-lora", "--json", *arguments)


def trained(workplace: Workplace, folder: Path, *arguments: object, model: Path | None = None) -> Path:
    outcome = loretta(
        *("train", "--model", model or workplace.decoder, "--task", "sst2", "--data", workplace.sentences),
        *("--output", folder, *FEW_STEPS, *arguments),
    )
    assert outcome.exit_code == 0, outcome.stderr
    return folder


@needs_llama_cpp
def test_with_a_base_the_export_is_checked_in_llama_cpp(
    prompt_run: FinishedRun, base_gguf: Path, tmp_path: Path
) -> None:
    outcome = export(prompt_run.path, "--base-gguf", base_gguf, "--output", tmp_path / "out")

    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert set(document) == KEYS
    assert (document["verified"], document["tolerance"]) == (True, 0.05)
    assert document["max_abs_difference"] < 1e-3
    assert (document["continuations"], document["same_continuations"]) == (10, 10)
    assert (document["architecture"], document["template"], document["rank"]) == ("llama", "none", 5)
    assert document["engine"] == llama_cpp.engine_name()
    assert files_below(tmp_path / "out") == ["Modelfile", "README.md", "adapter.gguf"]


@needs_llama_cpp
def test_a_lora_run_exports_too(workplace: Workplace, base_gguf: Path, tmp_path: Path) -> None:
    run = trained(workplace, tmp_path / "run", "--method", "lora")

    document = export(run, "--base-gguf", base_gguf).document

    assert (document["verified"], document["rank"]) == (True, 8)
    assert (run / "gguf-lora" / "adapter.gguf").is_file()


@needs_llama_cpp
def test_a_run_on_a_gguf_file_is_checked_on_that_file(
    gguf_run: FinishedRun, workplace: Workplace, tmp_path: Path
) -> None:
    document = export(gguf_run.path, "--output", tmp_path / "out").document

    assert (document["verified"], document["same_continuations"]) == (True, 10)
    assert _base_in_modelfile(tmp_path / "out").samefile(workplace.folder / "gguf" / "decoder.gguf")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "llama-server -m decoder.gguf --lora adapter.gguf" in card
    assert "convert_hf_to_gguf" not in card


@needs_llama_cpp
def test_a_run_on_a_quantised_gguf_file_is_checked_on_its_numbers_unpacked(
    workplace: Workplace, gguf_run: FinishedRun, tmp_path: Path
) -> None:
    base = _quantised(workplace.folder / "gguf" / "decoder.gguf", tmp_path / "base" / "small.gguf")
    run = trained(workplace, tmp_path / "run", "--method", "rep", model=base)

    outcome = export(run, "--output", tmp_path / "out")
    named = export(run, "--base-gguf", base, "--output", tmp_path / "named")

    assert (outcome.document["verified"], outcome.document["same_continuations"]) == (True, 10)
    assert outcome.document["max_abs_difference"] < 1e-3
    assert named.document["verified"], "the run's own file may be named, too"
    assert files_below(tmp_path / "out") == ["Modelfile", "README.md", "adapter.gguf"]
    assert _base_in_modelfile(tmp_path / "out").samefile(base)
    assert "unpacked to f32" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_another_run_s_quantised_base_is_refused(
    workplace: Workplace, gguf_run: FinishedRun, prompt_run: FinishedRun, tmp_path: Path
) -> None:
    base = _quantised(workplace.folder / "gguf" / "decoder.gguf", tmp_path / "small.gguf")

    outcome = export(prompt_run.path, "--base-gguf", base, "--output", tmp_path / "out")

    assert outcome.exit_code == 2
    assert "is quantised" in outcome.document["error"]["message"]
    assert files_below(tmp_path) == ["small.gguf"]


def _quantised(base: Path, file: Path) -> Path:
    from loretta_cli.artifacts.export.gguf_model import values_by_tensor, write_model
    from loretta_cli.models.loading import load_model
    from loretta_cli.models.source import find_model

    file.parent.mkdir(exist_ok=True)
    model = load_model(find_model(str(base)), "prompt").model
    write_model(file, base, values_by_tensor(model.state_dict(), model.config, base), model.config, "q8_0")
    return file


@needs_llama_cpp
def test_another_base_of_the_same_shape_is_noticed_and_leaves_nothing(
    prompt_run: FinishedRun, tmp_path: Path
) -> None:
    other = as_gguf(save_tiny_decoder(tmp_path / "other", seed=1), tmp_path / "other.gguf")

    outcome = export(prompt_run.path, "--base-gguf", other, "--output", tmp_path / "out" / "deep")

    assert outcome.exit_code == 1
    assert outcome.document["error"]["type"] == "ExportError"
    assert "nothing was written" in outcome.document["error"]["message"]
    assert "--base-gguf" in outcome.document["error"]["hint"]
    assert not files_below(tmp_path / "out")


def test_without_a_base_it_is_written_and_not_verified(prompt_run: FinishedRun, tmp_path: Path) -> None:
    outcome = export(prompt_run.path, "--output", tmp_path / "out")

    document = outcome.document
    assert outcome.exit_code == 0
    assert (document["verified"], document["max_abs_difference"]) == (False, None)
    assert document["unverified_because"] == "no base in GGUF form: give --base-gguf"
    assert "FROM ./base.gguf\n" in (tmp_path / "out" / "Modelfile").read_text(encoding="utf-8")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "llama-server -m base.gguf --lora adapter.gguf" in card
    assert "ollama create my-model -f Modelfile" in card
    assert "not checked in llama.cpp" in card


def test_without_the_engine_the_reason_is_told(
    prompt_run: FinishedRun, base_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp, "is_installed", lambda: False)

    document = export(prompt_run.path, "--base-gguf", base_gguf, "--output", tmp_path / "out").document

    assert document["verified"] is False
    assert "pip install xllamacpp" in document["unverified_because"]
    assert (tmp_path / "out" / "adapter.gguf").is_file()


def test_the_modelfile_finds_the_base_from_where_it_lies(
    prompt_run: FinishedRun, base_gguf: Path, tmp_path: Path
) -> None:
    assert export(prompt_run.path, "--base-gguf", base_gguf, "--output", tmp_path / "out").exit_code == 0

    assert _base_in_modelfile(tmp_path / "out").samefile(base_gguf)


def _base_in_modelfile(folder: Path) -> Path:
    """The file that it names, by a path from its own folder."""
    lines = (folder / "Modelfile").read_text(encoding="utf-8").splitlines()
    (named,) = (line.removeprefix("FROM ") for line in lines if line.startswith("FROM "))
    assert not Path(named).is_absolute()
    return folder / named


def test_an_adapter_on_a_quantised_base_is_not_held_against_another(
    prompt_run: FinishedRun, base_gguf: Path, copied: Callable[[FinishedRun], Path], tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra quant is not installed")
    run = copied(prompt_run)
    text = (run / "config.yaml").read_text(encoding="utf-8")
    assert "quantization: null" in text
    (run / "config.yaml").write_text(text.replace("quantization: null", "quantization: int8"), "utf-8")

    for given in (("--base-gguf", base_gguf), ()):
        outcome = export(run, *given, "--output", tmp_path / str(len(given)))

        assert outcome.exit_code == 0, outcome.stdout
        document = outcome.document
        assert document["verified"] is False
        assert "quantised to int8" in document["unverified_because"]


def test_methods_and_heads_that_the_format_cannot_carry_are_refused(
    adp_run: FinishedRun, rep_run: FinishedRun, tmp_path: Path
) -> None:
    adp = export(adp_run.path, "--output", tmp_path / "adp")
    head = export(rep_run.path, "--output", tmp_path / "head")

    assert (adp.exit_code, head.exit_code) == (2, 2)
    assert "nonlinear" in adp.document["error"]["message"]
    assert "classification head" in head.document["error"]["message"]
    assert not files_below(tmp_path)


def test_a_method_that_merges_is_sent_to_merging(workplace: Workplace, tmp_path: Path) -> None:
    run = trained(workplace, tmp_path / "run", "--method", "ia3")

    outcome = export(run)

    assert outcome.exit_code == 2
    assert "this run is ia3" in outcome.document["error"]["message"]
    assert "--format gguf" in outcome.document["error"]["hint"]


def test_a_lora_on_the_embeddings_is_refused_and_not_forgotten(workplace: Workplace, tmp_path: Path) -> None:
    layers = "adapter.target_modules=[q_proj, embed_tokens]"
    run = trained(workplace, tmp_path / "run", "--method", "lora", "--set", layers)

    outcome = export(run)

    assert outcome.exit_code == 2
    assert "model.embed_tokens" in outcome.document["error"]["message"]
    assert not (run / "gguf-lora").exists()


def test_trained_norms_are_refused_with_the_way_that_carries_them(
    workplace: Workplace, tmp_path: Path
) -> None:
    run = trained(workplace, tmp_path / "run", "--method", "rep", "--set", "adapter.train_norms=true")

    outcome = export(run)

    assert outcome.exit_code == 2
    assert "input_layernorm" in outcome.document["error"]["message"]
    assert "loretta merge" in outcome.document["error"]["hint"]
    assert "--format gguf" in outcome.document["error"]["hint"]
    assert not (run / "gguf-lora").exists()


def test_an_architecture_without_the_format_is_refused_with_those_that_have_it(
    workplace: Workplace, tmp_path: Path
) -> None:
    tokenizer = decoder_tokenizer()
    tiny_model("gpt2", vocab_size=len(tokenizer), n_positions=128).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    run = trained(workplace, tmp_path / "run", "--method", "rep", model=tmp_path / "gpt2")

    outcome = export(run)

    assert outcome.exit_code == 2
    assert "type gpt2" in outcome.document["error"]["message"]
    assert "llama, mistral, qwen2" in outcome.document["error"]["hint"]
    assert not (run / "gguf-lora").exists()


def test_a_masked_encoder_is_refused(workplace: Workplace, tmp_path: Path) -> None:
    from tests.tiny_masked import save_tiny_masked

    model = save_tiny_masked(tmp_path / "masked", "bert")
    run = trained(workplace, tmp_path / "run", "--method", "rep", "--set", "task.form=masked", model=model)

    outcome = export(run)

    assert outcome.exit_code == 2
    assert "has no GGUF export" in outcome.document["error"]["message"]


def test_a_base_of_other_sizes_is_refused_before_anything_is_computed(
    prompt_run: FinishedRun, tmp_path: Path
) -> None:
    other = as_gguf(save_tiny_decoder(tmp_path / "other", hidden=64), tmp_path / "other.gguf")

    outcome = export(prompt_run.path, "--base-gguf", other, "--output", tmp_path / "out")

    assert outcome.exit_code == 2
    assert "the adapter is for (32, 32)" in outcome.document["error"]["message"]
    assert not (tmp_path / "out").exists()


def test_a_number_type_is_refused(prompt_run: FinishedRun) -> None:
    outcome = export(prompt_run.path, "--type", "f16")

    assert outcome.exit_code == 2
    assert "--type is read by the format gguf, not by gguf-lora" in outcome.document["error"]["message"]


def test_a_base_file_that_cannot_be_used_is_refused(
    prompt_run: FinishedRun, base_gguf: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.gguf").write_text("hello", encoding="utf-8")
    (tmp_path / "cut.gguf").write_bytes(base_gguf.read_bytes()[:-2000])

    for name, said in (("none", "No such file"), ("text", "is no GGUF file"), ("cut", "is cut short")):
        outcome = export(
            prompt_run.path, "--base-gguf", tmp_path / f"{name}.gguf", "--output", tmp_path / "out"
        )
        assert outcome.exit_code == 2
        assert said in outcome.document["error"]["message"]
    assert files_below(tmp_path) == ["cut.gguf", "text.gguf"]


def test_a_base_file_is_for_this_format_only(prompt_run: FinishedRun, base_gguf: Path) -> None:
    outcome = loretta("export", prompt_run.path, "--format", "lora", "--base-gguf", base_gguf, "--json")

    assert outcome.exit_code == 2
    assert "--base-gguf is read by the format gguf-lora" in outcome.document["error"]["message"]


def test_without_the_gguf_package_the_extra_is_named(
    prompt_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)

    outcome = export(prompt_run.path, "--output", tmp_path / "out")

    assert outcome.exit_code == 2
    assert outcome.document["error"]["hint"] == "pip install 'loretta-cli[export]'"
    assert not files_below(tmp_path)


def test_a_run_without_its_adapter_is_a_sentence(
    prompt_run: FinishedRun, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(prompt_run)

    for text in ("{", "[1]", "{}", '{"peft_type": "LORETTA_REP", "modules_to_save": 3}'):
        (run / "adapter" / "adapter_config.json").write_text(text, encoding="utf-8")
        outcome = export(run)

        assert outcome.exit_code == 2
        assert outcome.document["error"]["type"] == "RunError"
        assert not (run / "gguf-lora").exists()
