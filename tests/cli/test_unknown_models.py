"""Models of unknown family on the command line: roles are proposed, the user confirms, training goes on."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import FEW_STEPS, Workplace
from tests.cli.refusal import assert_refused
from tests.command_line import Outcome, loretta

ALL_LINEAR = ("--set", "adapter.target_modules=all-linear")


@pytest.fixture(scope="module")
def models(workplace: Workplace) -> dict[str, Path]:
    """A decoder and an encoder without head."""
    from tests.tiny_folders import decoder_tokenizer, encoder_tokenizer
    from tests.unknown_models import unknown_model

    folders = {}
    for name, tokenizer, sizes in (
        ("codegen", decoder_tokenizer(), {"n_positions": 128}),
        ("roformer", encoder_tokenizer(), {"max_position_embeddings": 128}),
    ):
        special = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": 1, "eos_token_id": 2}
        model = unknown_model(name, device="cpu", vocab_size=len(tokenizer), **sizes, **special)
        folders[name] = workplace.folder / name
        (model if name == "codegen" else model.base_model).save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])
    return folders


def train(workplace: Workplace, model: Path, output: Path, *arguments: object) -> Outcome:
    data = ("--task", "sst2", "--data", workplace.sentences)
    return loretta("train", "--model", model, *data, "--output", output, *FEW_STEPS, *arguments)


@pytest.mark.parametrize("method", ["adp", "rep"])
@pytest.mark.parametrize("name", ["codegen", "roformer"])
def test_the_setting_in_the_hint_is_the_one_that_trains(
    workplace: Workplace, models: dict[str, Path], name: str, method: str, tmp_path: Path
) -> None:
    refused = train(workplace, models[name], tmp_path / "run", "--method", method)
    assert_refused(refused)
    assert f"The model family '{name}' is not known" in refused.stderr
    assert "2 layers)" in refused.stderr
    assert not (tmp_path / "run").exists()
    settings = re.findall(r"^  (--set .*)$", refused.stderr, flags=re.MULTILINE)
    assert len(settings) == (2 if method == "adp" else 1)

    outcome = train(
        workplace, models[name], tmp_path / "run", "--method", method, *shlex.split(settings[-1]), "--json"
    )

    assert outcome.exit_code == 0, outcome.stderr
    again = loretta("eval", tmp_path / "run", "--json")
    expected = outcome.document["metrics"]
    assert again.document["results"][0]["metrics"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("method", ["adp", "rep", "lora"])
@pytest.mark.parametrize("name", ["codegen", "roformer"])
def test_all_linear_trains_what_is_counted_beforehand(
    workplace: Workplace, models: dict[str, Path], name: str, method: str, tmp_path: Path
) -> None:
    chosen = ("--method", method, *ALL_LINEAR, "--json")
    counted = loretta("count-params", "--model", models[name], *chosen)
    dry = train(workplace, models[name], tmp_path / "run", *chosen, "--dry-run")
    outcome = train(workplace, models[name], tmp_path / "run", *chosen)
    assert outcome.exit_code == 0, outcome.stderr
    trained = outcome.document["trainable_parameters"]
    assert counted.document["trainable"] == dry.document["parameters"]["trainable"] == trained
    assert counted.document["layers"] == (8 if name == "codegen" else 12)


@pytest.mark.parametrize("method", ["adp", "rep", "lora"])
def test_all_linear_is_taken_for_known_models(workplace: Workplace, method: str) -> None:
    outcome = loretta("count-params", "--model", workplace.decoder, "--method", method, *ALL_LINEAR, "--json")
    assert outcome.document["layers"] == 2 * 7


def test_a_misspelt_all_linear_is_refused_with_the_right_word(
    workplace: Workplace, models: dict[str, Path], tmp_path: Path
) -> None:
    misspelt = ("--set", "adapter.target_modules=all-liner")
    for model in (models["codegen"], workplace.encoder):
        outcome = train(workplace, model, tmp_path / "run", *misspelt)
        assert_refused(outcome)
        assert "Did you mean 'all-linear'?" in outcome.stderr
