"""The user's templates: columns in braces and nothing more."""

from __future__ import annotations

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.tasks.templates import Template


def parse(text: str) -> Template:
    return Template.parse("task.prompt", text)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{a}", "A"),
        ("{a} and {b c}: {a}", "A and B: A"),
        ("{{{a}}}", "{A}"),
        ("{{a}} {a}", "{a} A"),
        ("a\n{a}\n", "a\nA\n"),
    ],
)
def test_columns_stand_in_braces_and_doubled_braces_are_braces(text: str, rendered: str) -> None:
    assert parse(text).render({"a": "A", "b c": "B"}) == rendered


def test_what_a_column_holds_is_never_read_as_a_template() -> None:
    assert parse("{a}{b}").render({"a": "{b} {{", "b": "x"}) == "{b} {{x"


@pytest.mark.parametrize("text", ["{", "a } b", "{}", "{a", "{a{b}}", "{a}}"])
def test_a_brace_that_is_alone_or_empty_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"task\.prompt: .* names no column") as caught:
        parse(text)
    assert "{{ or }}" in caught.value.hint


@pytest.mark.parametrize("name", ["a.__class__", "a[0]", "a!r", "a:>9", "0", " a"])
def test_attributes_indexes_and_formats_are_names_of_no_column(name: str) -> None:
    template = parse("{" + name + "}")
    with pytest.raises(ConfigError) as caught:
        template.check(["a", "b"])
    assert caught.value.message == f"task.prompt names the column {name!r}, which the rows do not have."
    assert "Known columns: a, b." in caught.value.hint


def test_a_template_without_a_column_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no column, so all rows would be the same") as caught:
        parse("What is it?").check(["body"])
    assert "Put {body} where" in caught.value.hint


def test_columns_are_listed_once_in_their_order() -> None:
    assert parse("{b} {a} {b}").columns == ("b", "a")


@pytest.mark.parametrize(("text", "ends"), [("{a}\n", True), ("{a} ", True), ("{a}", False), ("{a}:", False)])
def test_what_follows_white_space_needs_none(text: str, ends: bool) -> None:
    assert parse(text).ends_with_space is ends
