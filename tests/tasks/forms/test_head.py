"""The classification form: texts and pairs as the tokenizer joins them, options one by one, and logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from loretta_cli.errors import DataError
from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.forms.head import HeadForm
from tests.tiny_folders import POSITIONS, encoder_decoder_tokenizer, encoder_tokenizer
from tests.tiny_models import labelled_batch, tiny_model

BOOLQ = TASKS.get("boolq")
SST2 = TASKS.get("sst2")


@pytest.fixture(scope="module")
def encoder() -> Any:
    return encoder_tokenizer()


def review(text: str, label: int = 0) -> Example:
    return Example({"sentence": text}, label)


def question(passage: str, text: str = "is the sun warm") -> Example:
    return Example({"question": text, "passage": passage}, 1)


def test_a_text_is_encoded_as_the_tokenizer_does(encoder: Any) -> None:
    encoded = HeadForm(SST2, encoder, POSITIONS).encode([review("a great film!", 1)])
    assert encoded.shortened == 0
    assert encoded.rows[0] == {**encoder("a great film!"), "labels": 1}


def test_a_pair_is_encoded_as_the_tokenizer_joins_it(encoder: Any) -> None:
    (row,) = HeadForm(BOOLQ, encoder, POSITIONS).encode([question("the sun is warm")]).rows
    assert encoder.decode(row["input_ids"]) == "[CLS] is the sun warm [SEP] the sun is warm [SEP]"


def test_a_long_text_is_cut_and_counted(encoder: Any) -> None:
    examples = [review("great " * 30), review("bad " * 8), review("bad " * 9)]
    encoded = HeadForm(SST2, encoder, 10).encode(examples)
    assert encoded.shortened == 2
    assert [len(row["input_ids"]) for row in encoded.rows] == [10, 10, 10]
    assert encoder.decode(encoded.rows[0]["input_ids"]) == "[CLS] " + "great " * 8 + "[SEP]"


def test_the_longer_text_of_a_pair_is_cut(encoder: Any) -> None:
    (row,) = HeadForm(BOOLQ, encoder, 20).encode([question("water " * 60)]).rows
    assert encoder.decode(row["input_ids"]) == "[CLS] is the sun warm [SEP] " + "water " * 13 + "[SEP]"


@pytest.mark.parametrize("max_length", [POSITIONS, 20])
def test_the_joint_of_copa_stands_between_premise_and_option_where_the_premise_is_cut(
    encoder: Any, max_length: int
) -> None:
    options = ("the sun is warm", "is it")
    example = Example({"premise": "water " * 18 + "cold", "joint": "bad"}, options=options)
    encoded = HeadForm(TASKS.get("copa"), encoder, max_length).encode([example])
    (row,) = encoded.rows
    is_cut = max_length < POSITIONS
    assert encoded.shortened == is_cut
    for ids, option in zip(row["input_ids"], options, strict=True):
        text = encoder.decode(ids)
        assert text.startswith("[CLS] water water")
        assert text.endswith(f"{'water' if is_cut else 'cold'} bad [SEP] {option} [SEP]")
        assert len(ids) == (max_length if is_cut else 19 + 1 + len(option.split()) + 3)


def test_a_row_of_copa_that_does_not_fit_without_its_premise_is_named(encoder: Any) -> None:
    texts = {"premise": "the sun", "joint": "bad"}
    example = Example(texts, options=("water " * 20, "is it"), place="copa.jsonl, line 3")
    with pytest.raises(DataError, match=r"^copa\.jsonl, line 3: .* even without its premise"):
        HeadForm(TASKS.get("copa"), encoder, 20).encode([example])


def test_classification_rows_are_padded_to_the_longest_of_the_batch(encoder: Any) -> None:
    rows = HeadForm(SST2, encoder, 64).encode([review("bad", 0), review("a great film", 1)]).rows
    batch = HeadForm(SST2, encoder, 64).collate(rows)
    assert batch["input_ids"].tolist() == [
        rows[0]["input_ids"] + [encoder.pad_token_id] * 2,
        rows[1]["input_ids"],
    ]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert batch["labels"].tolist() == [0, 1]
    assert batch["labels"].dtype == torch.long
    assert "labels" in rows[0]


@pytest.mark.parametrize("family", ["bert", "roberta", "llama-classifier"])
def test_head_scores_are_the_logits(family: str) -> None:
    model = tiny_model(family)
    batch = labelled_batch(family)
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    with torch.no_grad():
        found, expected = HeadForm(SST2, None, 8).scores(model, batch), model(**inputs).logits
    assert found.shape == (4, 3)
    assert torch.equal(found, expected)


def test_head_scores_of_a_half_precision_model_are_fp32() -> None:
    model = tiny_model("bert", dtype=torch.bfloat16)
    assert HeadForm(SST2, None, 8).scores(model, labelled_batch("bert")).dtype == torch.float32


def test_no_more_options_are_read_at_once_than_there_are_rows(encoder: Any) -> None:
    task = replace(SST2, kind="choice", labels=())
    form = HeadForm(task, encoder, POSITIONS)
    options = ("good", "absolutely positive", "bad")
    rows = form.encode([replace(review("a film"), options=options[:count]) for count in (3, 2)]).rows
    model = tiny_model("bert", vocab_size=len(encoder), num_labels=1)
    seen: list[int] = []

    def keep(module: Any, ids: Any, output: Any) -> None:
        seen.append(len(ids[0]))

    with torch.inference_mode(), model.get_input_embeddings().register_forward_hook(keep):
        found = form.evaluation_scores(model, rows)
        assert seen == [2, 2, 1]
        torch.testing.assert_close(found, form.scores(model, form.collate(rows)), atol=1e-5, rtol=0)


# The head of an encoder-decoder


def ending(task: Any, tokenizer: Any, max_length: int = 64) -> HeadForm:
    return HeadForm(task, tokenizer, max_length, ends_texts=True)


def test_rows_with_the_same_number_of_ends_are_accepted() -> None:
    tokenizer = encoder_decoder_tokenizer()
    for task, example in ((SST2, review("a film")), (BOOLQ, question("the sun is warm. " * 9))):
        rows = ending(task, tokenizer, 12).encode([example, example]).rows
        assert rows[0]["input_ids"].count(tokenizer.eos_token_id) == len(task.head)


def test_a_text_with_the_end_token_in_it_is_refused() -> None:
    rows = [replace(review(text), place=f"a.csv, line {len(text)}") for text in ("a film", "a </s> film")]
    with pytest.raises(DataError, match=r"^a.csv, line 11: A text contains .* '</s>'") as caught:
        ending(SST2, encoder_decoder_tokenizer()).encode(rows)
    assert "task.form=prompt" in caught.value.hint


def test_a_tokenizer_that_ends_no_text_is_refused(encoder: Any) -> None:
    with pytest.raises(DataError, match="ends no text"):
        ending(SST2, encoder).encode([review("a film")])
