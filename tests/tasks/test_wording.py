"""The user's words in place of a task's own, and where they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.config import TaskSettings
from loretta_cli.errors import ConfigError
from loretta_cli.tasks import TASKS, Task
from loretta_cli.tasks.wording import check_read, reworded

TEXTS = {"sentence": "A film."}
PAIR = {"question": "is it old", "passage": "It is old."}


def words(**values: Any) -> TaskSettings:
    return TaskSettings.model_validate(values)


def sst2(**values: Any) -> Task:
    return reworded(TASKS.get("sst2"), words(**values), [TEXTS])


def test_without_words_a_task_stays_what_it_is() -> None:
    assert sst2() is TASKS.get("sst2")


def test_a_prompt_takes_the_place_of_the_tasks_and_its_options_are_joined_to_it() -> None:
    for template, options in (
        ("{sentence} Is it bad?", (" terrible", " great")),
        ("{sentence}\n", ("terrible", "great")),
    ):
        task = sst2(prompt=template)
        assert task.prompt.render(TEXTS) == template.format(**TEXTS)
        assert task.prompt.options == options
        assert task.masked is not None
        assert task.masked.words == TASKS.get("sst2").masked.words


def test_options_stand_where_the_tasks_own_stood() -> None:
    assert sst2(options=["bad", "good"]).prompt.options == (" bad", " good")
    boolq = reworded(TASKS.get("boolq"), words(options=[" false", "true"]), [PAIR])
    assert boolq.prompt.options == ("false", "true")


@pytest.mark.parametrize(
    ("template", "rendered", "options"),
    [
        ("{sentence} It was {mask}.", "A film. It was{mask}.", (" terrible", " great")),
        ("{mask}: {sentence}", "{mask}: A film.", ("terrible", "great")),
        ("{sentence}{mask}", "A film.{mask}", ("terrible", "great")),
    ],
)
def test_a_masked_prompt_has_one_gap_and_the_word_brings_its_space(
    template: str, rendered: str, options: tuple[str, ...]
) -> None:
    masked = sst2(masked_prompt=template).masked
    assert masked.render(TEXTS) == rendered
    assert masked.words == options


@pytest.mark.parametrize("template", ["{sentence}", "{sentence} {mask} {mask}"])
def test_a_masked_prompt_without_one_gap_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match=r"task\.masked_prompt has [02] gaps, expected one"):
        sst2(masked_prompt=template)


def test_a_masked_prompt_of_a_gap_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"task\.masked_prompt names no column"):
        sst2(masked_prompt="It was {mask}.")


@pytest.mark.parametrize(
    ("key", "template"), [("prompt", "{sentense}"), ("masked_prompt", "{sentense} {mask}")]
)
def test_a_column_that_the_task_does_not_have_is_refused_with_the_nearest(key: str, template: str) -> None:
    with pytest.raises(ConfigError, match=f"task.{key} names the column 'sentense'") as caught:
        sst2(**{key: template})
    assert "Did you mean 'sentence'?" in caught.value.hint


def test_the_column_that_is_cut_is_the_usual_one_if_the_template_names_it() -> None:
    boolq = TASKS.get("boolq")
    assert reworded(boolq, words(prompt="{question} {passage}"), [PAIR]).prompt.cut == "passage"
    assert reworded(boolq, words(prompt="{question}"), [PAIR]).prompt.cut == "question"


@pytest.mark.parametrize("template", ["{a} {b} {c}", "{c} {b} {a}"])
def test_without_the_usual_column_the_one_with_the_longest_text_of_the_first_rows_is_cut(
    template: str,
) -> None:
    rows = [{"a": "aa", "b": "", "c": 12}, {"a": "aa", "b": "bbbb", "c": 123}, {"a": "aaa", "b": "", "c": 1}]
    assert reworded(TASKS.get("sst2"), words(prompt=template), rows).prompt.cut == "b"
    masked = reworded(TASKS.get("sst2"), words(masked_prompt=template + "{mask}"), rows).masked
    assert masked.cut == "b"


def test_the_column_that_is_cut_can_be_named() -> None:
    asked = words(prompt="{question} {passage}", cut="question")
    assert reworded(TASKS.get("boolq"), asked, [PAIR]).prompt.cut == "question"
    masked = words(masked_prompt="{question} {passage} {mask}", cut="question")
    assert reworded(TASKS.get("boolq"), masked, [PAIR]).masked.cut == "question"


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"prompt": "{question} {passage}", "cut": "pasage"}, "'pasage', which task.prompt", "'passage'"),
        (
            {"prompt": "{question}", "cut": "passage"},
            "'passage', which task.prompt does not name",
            "question",
        ),
        ({"cut": "passage"}, "task.cut is set, but no prompt of your own", "give task.prompt"),
        ({"options": ["no", "yes"], "cut": "passage"}, "task.cut is set, but no prompt", "give task.prompt"),
    ],
)
def test_a_column_that_cannot_be_cut_is_refused(values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        reworded(TASKS.get("boolq"), words(**values), [PAIR])
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "values", "key"),
    [
        ("sst2", {"stop": ["."]}, "task.stop"),
        ("sst2", {"max_new_tokens": 3}, "task.max_new_tokens"),
        ("squad", {"options": ["a", "b"]}, "task.options"),
        ("squad", {"masked_prompt": "{context}{mask}"}, "task.masked_prompt"),
        ("copa", {"options": ["a", "b"]}, "task.options"),
    ],
)
def test_words_for_which_a_task_has_no_place_are_refused(name: str, values: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key} is set, but the task {name} does not read it"):
        reworded(TASKS.get(name), words(**values), [{}])


def test_a_generated_answer_ends_and_is_as_long_as_asked() -> None:
    texts = {"title": "t", "context": "c", "question": "q"}
    squad = TASKS.get("squad")
    asked = words(prompt="{context} {question}\n", stop=["."], max_new_tokens=3)
    task = reworded(squad, asked, [texts])
    assert task.generation.render(texts) == "c q\n"
    assert task.generation.answer(("x", "y")) == squad.generation.answer(("x", "y")).lstrip()
    assert (task.generation.stop, task.generation.max_new_tokens) == ((".",), 3)


def test_options_are_as_many_as_the_labels() -> None:
    with pytest.raises(ConfigError, match=r"3 texts, but the task sst2 has 2 labels: negative, positive"):
        sst2(options=["a", "b", "c"])


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("classification", {"prompt": "{a}"}),
        ("classification", {"options": ["a", "b"]}),
        ("prompt", {"masked_prompt": "{a}{mask}"}),
        ("masked", {"prompt": "{a}"}),
        ("prompt", {"stop": ["."]}),
    ],
)
def test_words_that_the_form_of_a_run_does_not_read_are_refused(form: Any, values: dict[str, Any]) -> None:
    (key,) = values
    with pytest.raises(ConfigError, match=f"task.{key} is set, but this run's form is {form}"):
        check_read(words(**values), form)


def test_words_that_the_form_reads_are_accepted() -> None:
    check_read(words(prompt="{a}", options=["a", "b"]), "prompt")
    check_read(words(masked_prompt="{a}{mask}", options=["a", "b"]), "masked")
    check_read(words(prompt="{a}", stop=["."], max_new_tokens=2), "generation")
