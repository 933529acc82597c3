"""Chats: the template's prompt, what it adds for an answer, and which turns of a long chat stay."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks.base import Example, Generation, Task
from loretta_cli.tasks.forms import make_form
from loretta_cli.tasks.forms.chat import ChatForm
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_models import tiny_model

TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content | trim }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
THINKS = TEMPLATE.replace("<assistant>{% endif %}", "<assistant><think>{% endif %}")
"""Begins an answer with what it does not write before an answer that is there."""
ALTERNATES = (
    "{% for message in messages %}{% if message.role != ['user', 'assistant'][loop.index0 % 2] %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}" + TEMPLATE.partition("%}")[2]
)

SYSTEM = {"role": "system", "content": "be good"}
TURNS = [
    {"role": "user", "content": "is the sky blue"},
    {"role": "assistant", "content": "yes"},
    {"role": "user", "content": "is the sun warm"},
]


def task(most: int = 4) -> Task:
    return Task(
        name="chat",
        version=1,
        kind="generation",
        columns=("messages",),
        read=lambda cells: Example(cells.texts("messages")),
        metrics=("f1",),
        scorer="squad",
        generation=Generation(render=str, cut="messages", max_new_tokens=most, is_chat=True),
    )


def chat(*messages: dict[str, str], answer: str = "yes it is") -> Example:
    return Example({"messages": json.dumps(messages)}, answers=((answer,),))


@pytest.fixture
def tokenizer() -> Any:
    found = decoder_tokenizer()
    found.chat_template = TEMPLATE
    return found


def test_the_template_makes_the_prompt_and_ends_the_answer(tokenizer: Any) -> None:
    form = make_form("generation", task(), tokenizer, 500)
    assert isinstance(form, ChatForm)

    encoded = form.encode([chat(SYSTEM, *TURNS)])

    (row,) = encoded.rows
    assert tokenizer.decode(row["input_ids"]) == (
        "<system>be good<end>\n<user>is the sky blue<end>\n<assistant>yes<end>\n"
        "<user>is the sun warm<end>\n<assistant>"
    )
    assert tokenizer.decode(row["options"][0]) == "yes it is<end>\n"
    assert row["stops"] == ("<end>",)
    assert encoded.shortened == 0


def test_an_answer_is_found_where_the_template_trims_it(tokenizer: Any) -> None:
    (row,) = ChatForm(task(), tokenizer, 500).encode([chat(TURNS[0], answer=" \nyes \n")]).rows

    assert tokenizer.decode(row["options"][0]) == "yes<end>\n"
    assert row["stops"] == ("<end>",)


def test_the_end_is_not_sought_in_a_short_answer(tokenizer: Any) -> None:
    (row,) = ChatForm(task(), tokenizer, 500).encode([chat(TURNS[0], answer="e")]).rows

    assert row["stops"] == ("<end>",)


def test_a_thought_that_only_a_prompt_begins_is_no_part_of_it(tokenizer: Any) -> None:
    tokenizer.chat_template = THINKS

    (row,) = ChatForm(task(), tokenizer, 500).encode([chat(TURNS[0])]).rows

    assert tokenizer.decode(row["input_ids"]).endswith("<assistant>")
    assert tokenizer.decode(row["options"][0]) == "yes it is<end>\n"


def test_an_end_of_text_token_of_the_template_is_learned(tokenizer: Any) -> None:
    tokenizer.chat_template = TEMPLATE.replace("<end>\n", "</s>")

    (row,) = ChatForm(task(), tokenizer, 500).encode([chat(TURNS[0])]).rows

    assert row["options"][0][-1] == tokenizer.eos_token_id
    assert row["options"][0].count(tokenizer.eos_token_id) == 1
    assert row["input_ids"].count(tokenizer.bos_token_id) == 0


def test_of_a_long_chat_the_oldest_turns_go_and_the_system_message_stays(tokenizer: Any) -> None:
    length = len(ChatForm(task(), tokenizer, 500).encode([chat(SYSTEM, *TURNS)]).rows[0]["input_ids"])

    encoded = ChatForm(task(), tokenizer, length).encode([chat(SYSTEM, *TURNS), chat(TURNS[0])])

    assert encoded.shortened == 1
    assert tokenizer.decode(encoded.rows[0]["input_ids"]) == (
        "<system>be good<end>\n<user>is the sun warm<end>\n<assistant>"
    )


def test_a_last_turn_that_does_not_fit_is_refused(tokenizer: Any) -> None:
    with pytest.raises(
        DataError, match=r"^a.jsonl, line 7: The last turn of a chat does not fit data\.max_length=12"
    ) as caught:
        ChatForm(task(), tokenizer, 12).encode([replace(chat(*TURNS), place="a.jsonl, line 7")])
    assert "task.max_new_tokens" in caught.value.hint


def test_a_tokenizer_without_a_template_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = None

    with pytest.raises(ConfigError, match="no chat template"):
        ChatForm(task(), tokenizer, 500).encode([chat(*TURNS)])


def test_roles_that_the_template_refuses_are_named(tokenizer: Any) -> None:
    tokenizer.chat_template = ALTERNATES

    with pytest.raises(DataError, match=r"roles system, user: roles must alternate"):
        ChatForm(task(), tokenizer, 500).encode([chat(SYSTEM, TURNS[0])])


def test_what_is_written_ends_where_the_template_ends_an_answer(tokenizer: Any) -> None:
    form = ChatForm(task(most=12), tokenizer, 500)
    model = tiny_model("llama", vocab_size=len(tokenizer))
    (row,) = form.encode([chat(*TURNS)]).rows
    (whole,) = form.predict(model, [{**row, "stops": ()}])
    stop = str(whole.value)[3:6]

    (found,) = form.predict(model, [{**row, "stops": (stop,)}])

    assert found.value == str(whole.value).partition(stop)[0].strip()
    assert found.value != whole.value
    assert found.loss == pytest.approx(whole.loss)
