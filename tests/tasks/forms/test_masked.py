"""The masked form: where the gap is, what is cut, which words fill it, and runs of it by the command line.

Scores are held against the plainest computation: one row at a time, all logits, no padding.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.base import MaskedPrompt
from loretta_cli.tasks.forms import make_form
from loretta_cli.tasks.forms.masked import MaskedForm, label_words
from tests.command_line import loretta, write_sentences
from tests.tiny_folders import decoder_tokenizer, encoder_tokenizer
from tests.tiny_masked import POSITIONS, Kind, masked_tokenizer, save_tiny_masked

KINDS: tuple[Kind, ...] = ("roberta", "bert")
SST2 = TASKS.get("sst2")
RTE = TASKS.get("rte")
STSB = TASKS.get("stsb")
REVIEWS = [
    Example({"sentence": text}, label)
    for text, label in (("a great film", 1), ("a terrible, boring and very sad film", 0), ("fun", 1))
]


def form(kind: Kind, task: Any = SST2, max_length: int = POSITIONS) -> MaskedForm:
    made = make_form("masked", task, masked_tokenizer(kind), max_length)
    assert isinstance(made, MaskedForm)
    return made


def text_of(made: MaskedForm, example: Example) -> str:
    (row,) = made.encode([example]).rows
    return str(made.tokenizer.decode(row["input_ids"]))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    where = tmp_path_factory.mktemp("masked")
    return {kind: save_tiny_masked(where / kind, kind) for kind in KINDS}


def test_the_gap_is_the_tokenizers_own_mask() -> None:
    assert text_of(form("bert"), REVIEWS[0]) == "[CLS] a great film it was [MASK]. [SEP]"
    assert text_of(form("roberta"), REVIEWS[0]) == "<s>a great film It was<mask>.</s>"


def test_a_word_is_the_token_that_it_is_behind_a_space() -> None:
    tokenizer = masked_tokenizer("roberta")
    assert tokenizer.convert_ids_to_tokens(label_words(SST2, tokenizer)) == ["Ġterrible", "Ġgreat"]
    assert len(tokenizer("terrible", add_special_tokens=False)["input_ids"]) > 1


def test_a_word_of_several_tokens_is_refused_by_name() -> None:
    odd = replace(SST2, masked=MaskedPrompt(SST2.masked.render, (" terrible", " unputdownable"), "sentence"))
    with pytest.raises(ConfigError, match="' unputdownable' of the task sst2 must be one token") as caught:
        form("bert", odd)
    assert "'un', '##p'" in caught.value.message or "'u', '##n', '##p'" in caught.value.message
    assert "task.form=classification" in caught.value.hint


def test_a_word_that_the_tokenizer_does_not_know_is_refused() -> None:
    odd = replace(SST2, masked=MaskedPrompt(SST2.masked.render, (" terrible", " 好"), "sentence"))
    with pytest.raises(ConfigError, match=r"must be one token, and for this tokenizer it is \['\[UNK\]'\]"):
        form("bert", odd)


def test_two_labels_with_one_word_are_refused() -> None:
    odd = replace(SST2, masked=MaskedPrompt(SST2.masked.render, (" Great", " great"), "sentence"))
    with pytest.raises(ConfigError, match="cannot be told apart"):
        form("bert", odd)


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    for tokenizer in (decoder_tokenizer(), encoder_tokenizer()):
        with pytest.raises(ConfigError, match="no mask token"):
            make_form("masked", SST2, tokenizer, POSITIONS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_loses_its_end_and_never_the_gap(kind: Kind) -> None:
    made = form(kind, RTE, 24)
    encoded = made.encode(
        [
            Example({"sentence1": "the sun is warm " * 20, "sentence2": "It is day"}, 0),
            Example({"sentence1": "no", "sentence2": "It is day"}, 1),
        ]
    )
    assert encoded.shortened == 1
    cut = encoded.rows[0]["input_ids"]
    assert len(cut) <= 24
    assert cut.count(made.tokenizer.mask_token_id) == 1
    assert made.tokenizer.decode(cut).replace(" [SEP]", "</s>").endswith(", it is day</s>")


def test_a_text_that_does_not_fit_without_its_cut_column_is_refused() -> None:
    long = Example({"sentence1": "the sun", "sentence2": "is warm " * 9}, 0, place="a.csv, line 7")
    with pytest.raises(DataError, match=r"^a.csv, line 7: .* data\.max_length=8 tokens, even without its"):
        form("bert", RTE, 8).encode([long])


@pytest.mark.parametrize("text", ["[MASK] film", "{mask} film"])
def test_a_text_with_a_gap_of_its_own_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"A text holds \[MASK\] or {mask}"):
        form("bert").encode([Example({"sentence": text}, 0)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scores_are_those_of_one_row_at_a_time_with_all_logits(
    kind: Kind, dtype: torch.dtype, folders: dict[Kind, Path]
) -> None:
    made = form(kind)
    model = AutoModelForMaskedLM.from_pretrained(folders[kind], dtype=dtype).eval()
    rows = made.encode(REVIEWS).rows
    with torch.inference_mode():
        found = made.scores(model, made.collate(rows))
        plain = []
        for row in rows:
            ids = torch.tensor([row["input_ids"]])
            logits = model(input_ids=ids).logits[0, row["input_ids"].index(made.tokenizer.mask_token_id)]
            plain.append(logits.float().log_softmax(-1)[list(made.words)])
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found, torch.stack(plain), **({} if dtype == torch.float32 else {"rtol": 0.05, "atol": 0.05})
    )


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_made_at_the_gaps_only_and_the_model_is_left_as_it_was(
    kind: Kind, folders: dict[Kind, Path]
) -> None:
    made = form(kind)
    model = AutoModelForMaskedLM.from_pretrained(folders[kind]).eval()
    seen: list[torch.Size] = []
    watch = model.get_output_embeddings().register_forward_hook(lambda *parts: seen.append(parts[2].shape))
    batch = made.collate(made.encode(REVIEWS).rows)
    made.scores(model, batch)
    model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    watch.remove()
    assert seen == [(3, len(made.tokenizer)), (*batch["input_ids"].shape, len(made.tokenizer))]


def test_a_model_without_an_output_layer_of_its_own_is_read_at_the_gaps(folders: dict[Kind, Path]) -> None:
    made = form("bert")
    model = AutoModelForMaskedLM.from_pretrained(folders["bert"]).eval()
    batch = made.collate(made.encode(REVIEWS).rows)
    expected = made.scores(model, batch)
    model.get_output_embeddings = lambda: None
    torch.testing.assert_close(made.scores(model, batch), expected)


def test_the_loss_is_the_cross_entropy_over_the_words(folders: dict[Kind, Path]) -> None:
    made = form("bert")
    model = AutoModelForMaskedLM.from_pretrained(folders["bert"]).eval()
    batch = made.collate(made.encode(REVIEWS).rows)
    scores = made.scores(model, batch)
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([1, 0, 1]), reduction="none")
    torch.testing.assert_close(made.losses(model, batch), expected)


def test_a_score_is_the_mean_of_the_scale_by_the_probability_of_its_words(folders: dict[Kind, Path]) -> None:
    made = form("roberta", STSB)
    model = AutoModelForMaskedLM.from_pretrained(folders["roberta"]).eval()
    rows = made.encode([Example({"sentence1": "the sun", "sentence2": "a sun"}, 4.5)]).rows
    with torch.inference_mode():
        (prediction,) = made.predict(model, rows)
    weights = torch.tensor(prediction.scores).softmax(0)
    assert prediction.value == pytest.approx(float(weights @ torch.arange(6.0)), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "method"),
    [("roberta", "adp"), ("roberta", "lora"), ("bert", "rep")],
)
def test_a_run_trains_and_its_reloaded_adapter_scores_the_same(
    kind: Kind, method: str, folders: dict[Kind, Path], tmp_path: Path
) -> None:
    data = write_sentences(tmp_path / "data")
    run = tmp_path / "run"
    few = ("--set", "training.max_steps=4", "--set", "training.batch_size=4")
    trained = loretta(
        *("train", "--model", folders[kind], "--method", method, "--task", "sst2", "--data", data),
        *("--set", "task.form=masked", *few, "--output", run, "--json"),
    )
    assert trained.exit_code == 0, trained.stderr
    again = loretta("eval", run, "--json")
    assert again.exit_code == 0, again.stderr
    assert again.document["results"][0]["metrics"] == pytest.approx(trained.document["metrics"], rel=1e-5)
    assert json.loads((run / "adapter" / "adapter_config.json").read_text("utf-8"))["task_type"] is None


def test_a_run_goes_on_from_its_checkpoint_as_if_it_had_not_been_stopped(
    folders: dict[Kind, Path], tmp_path: Path
) -> None:
    data = write_sentences(tmp_path / "data")
    source = ("--model", folders["roberta"], "--method", "rep", "--task", "sst2", "--data", data)
    settings = (
        "task.form=masked",
        "training.max_steps=6",
        "training.batch_size=4",
        "training.evaluate_every=3",
    )
    asked = [part for setting in settings for part in ("--set", setting)]
    whole = loretta("train", *source, *asked, "--output", tmp_path / "whole", "--json")
    assert whole.exit_code == 0, whole.stderr
    loretta("train", *source, *asked, "--output", tmp_path / "part", "--json")
    part = tmp_path / "part"
    for name in ("report.json", "checkpoints/checkpoint-6/trainer_state.json"):
        (part / name).unlink()
    resumed = loretta("train", "--output", part, "--resume", "--json")
    assert resumed.exit_code == 0, resumed.stderr
    assert "resuming after step 3" in resumed.stderr
    assert resumed.document["metrics"] == whole.document["metrics"]


def test_a_language_model_cannot_fill_gaps(workplace_decoder: Path, tmp_path: Path) -> None:
    data = write_sentences(tmp_path / "data")
    asked = ("--model", workplace_decoder, "--task", "sst2", "--data", data, "--set", "task.form=masked")
    refused = loretta("train", *asked, "--output", tmp_path / "run")
    assert refused.exit_code == 2
    assert "is no masked language model" in refused.stderr


@pytest.fixture(scope="module")
def workplace_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_folders import save_tiny_decoder

    return save_tiny_decoder(tmp_path_factory.mktemp("decoder"))
