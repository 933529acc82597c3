"""Texts to write: prompt and completion, templates, and chats."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loretta_cli.errors import ConfigError, DataError

PAIR = {"prompt": "who", "completion": " me \n"}
CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "who"},
    {"role": "assistant", "content": "me"},
]


@pytest.mark.parametrize(
    "names",
    [
        ("prompt", "completion"),
        ("prompt", "response"),
        ("instruction", "output"),
        ("question", "answer"),
        ("Question", "Answer"),
        ("input", "output"),
    ],
)
def test_a_pair_is_found_by_its_usual_names(make, names: tuple[str, str]) -> None:
    made = make("generation", [{names[0]: "who", names[1]: "me", "other": 1}])
    task, (example,) = made.task, made.examples
    assert task.roles == {"prompt": names[0], "completion": names[1]}
    assert example.answers == (("me",),)
    assert task.generation.render(example.texts) == "who\n"
    assert task.generation.cut == names[0]
    assert made.notes == [f"columns found: prompt={names[0]}, completion={names[1]}"]


def test_a_completion_is_learned_up_to_the_end_of_the_text(make) -> None:
    made = make("generation", [PAIR])
    assert made.examples[0].answers == (("me",),)
    assert made.task.generation.answer(("me",)) == "me"
    assert made.task.generation.stop == ()
    assert (made.task.metrics, made.task.scorer) == (("f1", "exact_match"), "squad")


def test_an_instruction_goes_on_in_its_input(make) -> None:
    rows = [{"instruction": "add", "input": text, "output": "3"} for text in ("1 2", "")]
    made = make("generation", rows)
    rendered = [made.task.generation.render(example.texts) for example in made.examples]
    assert rendered == ["add\n1 2\n", "add\n"]
    assert made.task.generation.cut == "input"


def test_an_instruction_is_cut_only_where_the_template_has_no_other_column(make) -> None:
    row = {"instruction": "add these two numbers", "input": "1 2", "output": "3"}
    for template, cut in (("{instruction}\n{input}", "input"), ("{instruction}", "instruction")):
        made = make("generation", [row], {"prompt": "instruction"}, prompt=template)
        assert made.task.generation.cut == cut


def test_a_template_makes_the_prompt_and_may_name_any_column(make) -> None:
    rows = [{"title": "Sun", "year": 1999, "body": "It shines.", "summary": "light"}]
    template = "{title} ({year})\n{body}\n{{summary}}:"
    made = make("generation", rows, {"completion": "summary"}, prompt=template, stop=["."], max_new_tokens=9)
    task, (example,) = made.task, made.examples
    assert task.generation.render(example.texts) == "Sun (1999)\nIt shines.\n{summary}:"
    assert task.generation.answer(("light",)) == " light"
    assert (task.generation.stop, task.generation.max_new_tokens) == ((".",), 9)
    assert task.generation.cut == "body", "the longest"
    assert task.roles == {"prompt": None, "completion": "summary"}


def test_an_answer_behind_white_space_needs_none(make) -> None:
    task = make("generation", [PAIR], prompt="{prompt}\nA: ").task
    assert task.generation.answer(("me",)) == "me"


def test_a_template_with_a_column_that_is_not_there_is_refused(make) -> None:
    with pytest.raises(ConfigError, match=r"task\.prompt names the column 'promt'") as caught:
        make("generation", [PAIR], prompt="{promt}")
    assert caught.value.hint == "Did you mean 'prompt'? Known columns: completion, prompt."


@pytest.mark.parametrize("row", [{"a": "x", "b": "y"}, {"prompt": "x"}, {"completion": "y"}])
def test_columns_that_cannot_be_told_are_asked_for(make, row: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="cannot be told from the names") as caught:
        make("generation", [row])
    assert "data.columns.completion=NAME" in caught.value.hint


@pytest.mark.parametrize("cell", ["", None, 5])
def test_an_empty_completion_is_refused_with_its_place(make, cell: object) -> None:
    with pytest.raises(DataError, match=r"mine\.jsonl, line 2, column 'completion'"):
        make("generation", [PAIR, {"prompt": "a", "completion": cell}])


@pytest.mark.parametrize("name", ["messages", "conversations", "chat"])
@pytest.mark.parametrize("as_text", [False, True])
def test_a_chat_ends_with_the_answer_that_is_learned(make, name: str, as_text: bool) -> None:
    made = make("generation", [{name: json.dumps(CHAT) if as_text else CHAT}])
    task, (example,) = made.task, made.examples
    assert json.loads(example.texts["messages"]) == CHAT[:-1]
    assert example.answers == (("me",),)
    assert task.generation.is_chat
    assert task.metrics == ("perplexity",)
    assert task.roles == {"messages": name}


def test_messages_of_the_other_spelling_are_read_too(make) -> None:
    row = {"conversations": [{"from": "human", "value": "who"}, {"from": "gpt", "value": "me"}]}
    (example,) = make("generation", [row]).examples
    assert json.loads(example.texts["messages"]) == [{"role": "user", "content": "who"}]


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        (CHAT[:2], "the last message is of the user, expected one of the assistant"),
        ([], "the last message is none"),
        (CHAT[2:], "the messages have none of the user"),
        (
            [*CHAT[:2], {"role": "bot", "content": "me"}],
            "message 3 has the role 'bot', expected system",
        ),
        ([*CHAT[:2], {"content": "me"}], "message 3 has the role None"),
        ([CHAT[1], {"role": "assistant", "content": " "}], "message 2 has no content"),
        ([CHAT[1], {"role": "assistant", "content": ["me"]}], "message 2 has the content"),
        ("hello", "expected a list of messages, found 'hello'"),
        (["hello"], "message 1 has the role None"),
        (None, "expected a list of messages, found None"),
    ],
)
def test_a_bad_chat_is_refused_with_its_place(make, messages: object, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        make("generation", [{"messages": CHAT}, {"messages": messages}])
    assert caught.value.message.startswith("mine.jsonl, line 2, column 'messages': ")
    assert problem in caught.value.message


def test_a_chat_and_a_pair_contradict_each_other(make) -> None:
    row = {"messages": CHAT, **PAIR}
    assert make("generation", [row]).task.generation.is_chat
    with pytest.raises(DataError, match=r"data\.columns\.messages is set, and"):
        make("generation", [row], {"messages": "messages", "prompt": "prompt"})
    assert not make("generation", [row], {"prompt": "prompt"}).task.generation.is_chat


@pytest.mark.parametrize("words", [{"prompt": "{messages}"}, {"stop": ["."]}])
def test_the_words_of_a_chat_are_those_of_the_models_template(make, words: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="the rows are chat messages"):
        make("generation", [{"messages": CHAT}], {"messages": "messages"}, **words)
