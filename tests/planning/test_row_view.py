"""The tokens of a row that are trained on are those that are marked."""

from __future__ import annotations

from pathlib import Path

from loretta_cli.planning.row_view import FIRST, LAST, RowView, view_of
from loretta_cli.tasks import TASKS
from loretta_cli.tasks.forms import make_form
from tests.prompts import review, task_of
from tests.tiny_folders import decoder_tokenizer, encoder_decoder_tokenizer, encoder_tokenizer
from tests.tiny_masked import masked_tokenizer


def test_the_right_option_behind_a_prompt_is_marked() -> None:
    form = make_form("prompt", task_of("{} is", " good", " bad"), decoder_tokenizer(), 64)
    example = review("the day", label=1)
    (row,) = form.encode([example]).rows

    found = view_of(form, example, row)

    assert [is_trained for _, is_trained in found.pieces] == [False, True]
    assert found.pieces[0][0].endswith("the day is")
    assert found.pieces[1][0] == " bad"
    assert found.trained == len(row["options"][1])
    assert "' good', ' bad'" in found.said


def test_of_a_head_no_token_is_marked_and_the_label_is_said() -> None:
    task = TASKS.get("sst2")
    form = make_form("classification", task, encoder_tokenizer(), 64)
    example = review("the day", label=1)
    (row,) = form.encode([example]).rows

    found = view_of(form, example, row)

    assert not any(is_trained for _, is_trained in found.pieces)
    assert found.trained == 0
    assert f"{task.labels[1]!r}, trained through the head" in found.said


def test_the_gap_of_a_masked_text_is_marked_with_its_word() -> None:
    task = TASKS.get("sst2")
    form = make_form("masked", task, masked_tokenizer("bert"), 64)
    assert task.masked is not None
    example = review("the day", label=0)
    (row,) = form.encode([example]).rows

    found = view_of(form, example, row)

    (marked,) = [text for text, is_trained in found.pieces if is_trained]
    assert marked == f"[MASK]={task.masked.words[0].strip()}"


def test_the_decoder_of_an_encoder_decoder_is_said_to_write() -> None:
    task = task_of("{} is", " good", " bad")
    form = make_form("prompt", task, encoder_decoder_tokenizer(), 64, decoder_start=0)
    example = review("the day")
    (row,) = form.encode([example]).rows

    assert "the decoder writes it" in view_of(form, example, row).said


def test_a_long_text_is_shown_without_its_middle_and_on_one_line() -> None:
    view = RowView(9, 1, [("a\n" * 1000, False), ("yes", True)], "")

    (text, _), marked = view.shown

    assert len(text) < FIRST + LAST + 40
    assert "\n" not in text
    assert "characters…]" in text
    assert marked == ("yes", True)
    assert view.as_json()["pieces"][0]["text"] == "a\n" * 1000


def test_the_pieces_of_a_first_row_are_the_whole_of_it(tmp_path: Path) -> None:
    form = make_form("prompt", task_of("{} is", " good", " bad"), decoder_tokenizer(), 64)
    example = review("the day")
    (row,) = form.encode([example]).rows

    text = "".join(piece for piece, _ in view_of(form, example, row).pieces)

    assert text == form.tokenizer.decode([*row["input_ids"], *row["options"][0]])
