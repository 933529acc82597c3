"""The prompt form: where the options begin, what is cut, how batches are padded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks import TASKS, Example
from loretta_cli.tasks.forms.prompt import PromptForm
from tests.prompts import SST2, review, task_of
from tests.tiny_folders import decoder_tokenizer

BOOLQ = TASKS.get("boolq")
PASSAGE = "the river is cold water and the sun is warm light. " * 6


@pytest.fixture(scope="module")
def decoder() -> Any:
    return decoder_tokenizer()


def question(passage: str, text: str = "is the sun warm") -> Example:
    return Example({"question": text, "passage": passage}, 1)


def longest(row: dict[str, Any]) -> int:
    return len(row["input_ids"]) + max(map(len, row["options"]))


class TokenizerWithEnd:
    """A tokenizer that puts its end-of-text token behind every text."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.eos_token_id = inner.eos_token_id

    def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
        return {"input_ids": [*self.inner(text, **options)["input_ids"], self.eos_token_id]}


def test_options_of_one_token_follow_the_prompt(decoder: Any) -> None:
    (row,) = PromptForm(SST2, decoder, 64).encode([review("a great film", 1)]).rows
    assert row["input_ids"] == decoder("a great film It was")["input_ids"]
    assert row["input_ids"][0] == decoder.bos_token_id
    assert row["options"] == [decoder.convert_tokens_to_ids([token]) for token in ("Ġterrible", "Ġgreat")]
    assert row["labels"] == 1


def test_options_of_several_tokens_are_whole(decoder: Any) -> None:
    task = task_of("{}\nLabel:", " negative", " positive", " good")
    (row,) = PromptForm(task, decoder, 64).encode([review("a film")]).rows
    assert list(map(decoder.decode, row["options"])) == [" negative", " positive", " good"]
    assert [len(option) > 1 for option in row["options"]] == [True, True, False]


@pytest.mark.parametrize(
    ("prompt", "options", "merged", "kept"),
    [
        # The space merges with "great" and not with "zzz": the prompt ends before the space for both.
        ("{} It was ", ("great", "zzz"), ["Ġgreat"], "a film It was"),
        ("{} It was ter", ("rible", "!"), ["Ġterrible"], "a film It was"),
        ("{}\nY", ("es", "ou"), ["Yes"], "a film\n"),
    ],
)
def test_a_token_that_merges_across_the_border_belongs_to_the_option(
    decoder: Any, prompt: str, options: tuple[str, ...], merged: list[str], kept: str
) -> None:
    text = prompt.format("a film")
    (row,) = PromptForm(task_of(prompt, *options), decoder, 64).encode([review("a film")]).rows
    assert decoder.convert_ids_to_tokens(row["options"][0])[-len(merged) :] == merged
    assert text.startswith(decoder.decode(row["input_ids"], skip_special_tokens=True))
    assert decoder.decode(row["input_ids"], skip_special_tokens=True) == kept
    for option, ids in zip(options, row["options"], strict=True):
        assert row["input_ids"] + ids == decoder(text + option)["input_ids"]


def test_a_border_within_one_option_moves_it_for_all(decoder: Any) -> None:
    """The prompt must be the same for every option, or their scores would not compare."""
    task = task_of("{} It was ", "great", "zzz", "good")
    (row,) = PromptForm(task, decoder, 64).encode([review("a film")]).rows
    assert [decoder.decode(option) for option in row["options"]] == [" great", " zzz", " good"]


def test_an_end_of_text_token_is_no_part_of_an_option(decoder: Any) -> None:
    tokenizer: Any = TokenizerWithEnd(decoder)
    plain = PromptForm(SST2, decoder, 64).encode([review("a film")])
    assert PromptForm(SST2, tokenizer, 64).encode([review("a film")]) == plain


@pytest.mark.parametrize("options", [("yes", "yes"), ("", "yes"), ("yes", "")])
def test_options_that_are_the_same_tokens_or_none_are_refused(decoder: Any, options: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="cannot be told apart") as caught:
        PromptForm(task_of("{}:", *options), decoder, 64).encode([review("a")])
    assert "task.form=classification" in caught.value.hint


def test_an_option_that_begins_another_is_allowed(decoder: Any) -> None:
    (row,) = PromptForm(task_of("{}:", " a", " a b"), decoder, 64).encode([review("x")]).rows
    assert row["options"][1][: len(row["options"][0])] == row["options"][0]
    assert len(row["options"][1]) > len(row["options"][0])


def test_a_prompt_that_fits_exactly_is_not_cut(decoder: Any) -> None:
    whole = PromptForm(BOOLQ, decoder, 10_000).encode([question(PASSAGE)])
    assert whole.shortened == 0
    length = longest(whole.rows[0])
    assert PromptForm(BOOLQ, decoder, length).encode([question(PASSAGE)]) == whole
    assert PromptForm(BOOLQ, decoder, length - 1).encode([question(PASSAGE)]).shortened == 1


@pytest.mark.parametrize("max_length", [30, 31, 47, 60])
def test_only_the_end_of_the_cut_column_is_lost(decoder: Any, max_length: int) -> None:
    encoded = PromptForm(BOOLQ, decoder, max_length).encode([question(PASSAGE), question("the sun")])
    assert encoded.shortened == 1
    row = encoded.rows[0]
    text = decoder.decode(row["input_ids"], skip_special_tokens=True)
    passage, end = text.removesuffix(" Is the sun warm?\n"), text[-len(" Is the sun warm?\n") :]
    assert end == " Is the sun warm?\n"
    assert passage
    assert PASSAGE.startswith(passage)
    assert row["options"] == encoded.rows[1]["options"]
    # A stripped space may leave one token unused, not more.
    assert max_length - 1 <= longest(row) <= max_length


@pytest.mark.parametrize("passage", ["é" * 40, "🙂" * 20, "日本語のとても長い文章" * 4, "a🙂" * 20])
@pytest.mark.parametrize("less", [1, 2, 3, 5, 8])
def test_a_character_of_several_tokens_is_not_cut_in_two(decoder: Any, passage: str, less: int) -> None:
    """Also: cutting ends, though what is left may take more tokens than what it was cut from."""
    length = longest(PromptForm(BOOLQ, decoder, 10_000).encode([question(passage)]).rows[0])
    (row,) = PromptForm(BOOLQ, decoder, length - less).encode([question(passage)]).rows
    text = decoder.decode(row["input_ids"], skip_special_tokens=True).removesuffix(" Is the sun warm?\n")
    assert text
    assert passage.startswith(text)
    assert longest(row) <= length - less


def test_a_prompt_that_cannot_be_made_short_enough_is_refused(decoder: Any) -> None:
    long = question("the sun", "is the old house in the cold city very warm")
    with pytest.raises(
        DataError, match=r"does not fit data\.max_length=12 tokens, even without its passage"
    ) as error:
        PromptForm(BOOLQ, decoder, 12).encode([replace(long, place="a.csv, line 7")])
    assert error.value.message.startswith("a.csv, line 7: A prompt")
    assert "Raise data.max_length" in error.value.hint


def test_a_prompt_of_which_nothing_is_left_without_its_context_is_refused() -> None:
    decoder = decoder_tokenizer()
    decoder.add_bos_token = False
    task = task_of("{}", " good", " bad")
    assert PromptForm(task, decoder, 64).encode([review("a film")]).shortened == 0
    with pytest.raises(ConfigError, match=r"without its context, as task\.calibration reads it, has no"):
        PromptForm(task, decoder, 64, calibrated=True).encode([review("a film")])
    with pytest.raises(ConfigError, match="A prompt has no tokens"):
        PromptForm(task, decoder, 64).encode([review("")])


def test_options_of_one_token_make_one_row_a_prompt(decoder: Any) -> None:
    rows = PromptForm(SST2, decoder, 64).encode([review("a film", 1), review("a very great film", 0)]).rows
    batch = PromptForm(SST2, decoder, 64).batch(rows)
    assert set(batch) == {"input_ids", "attention_mask", "option_tokens", "options", "labels"}
    length = len(rows[1]["input_ids"])
    assert batch["input_ids"].shape == (2, length)
    padding = length - len(rows[0]["input_ids"])
    assert padding > 0
    assert batch["input_ids"][0].tolist() == [decoder.pad_token_id] * padding + rows[0]["input_ids"]
    assert batch["attention_mask"].tolist() == [[0] * padding + [1] * (length - padding), [1] * length]
    assert batch["option_tokens"].tolist() == [[option[0] for option in row["options"]] for row in rows]
    assert batch["labels"].tolist() == [1, 0]


def test_options_of_several_tokens_make_one_row_an_option(decoder: Any) -> None:
    task = task_of("{}:", " good", " negative")
    rows = PromptForm(task, decoder, 64).encode([review("a film"), review("a very great film", 1)]).rows
    batch = PromptForm(SST2, decoder, 64).batch(rows)
    assert set(batch) == {"input_ids", "attention_mask", "option_lengths", "options", "labels"}
    expected = [row["input_ids"] + option for row in rows for option in row["options"]]
    found = [
        ids[mask.bool()].tolist()
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    assert found == expected
    assert batch["attention_mask"][:, -1].tolist() == [1, 1, 1, 1]
    assert batch["option_lengths"].tolist() == [1, len(rows[0]["options"][1])] * 2
    assert batch["options"].tolist() == [2, 2]
