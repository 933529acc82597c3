"""The .jsonl reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.jsonl import read_jsonl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def fault(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read_jsonl(path, "train.jsonl")
    return caught.value


def test_rows_carry_values_file_and_line(write: Callable[..., Path]) -> None:
    path = write("a.jsonl", '{"text": "é", "label": 1}\n\n  \n{"text": "b", "more": [1]}\r\n')
    rows = read_jsonl(path, "data/train.jsonl")
    assert [dict(row.values) for row in rows] == [{"text": "é", "label": 1}, {"text": "b", "more": [1]}]
    assert [row.number for row in rows] == [1, 4]
    assert {row.file for row in rows} == {"data/train.jsonl"}


def test_a_byte_order_mark_and_a_missing_last_line_end_do_no_harm(write: Callable[..., Path]) -> None:
    rows = read_jsonl(write("a.jsonl", b'\xef\xbb\xbf{"text": "a"}'), "a.jsonl")
    assert rows[0].values == {"text": "a"}


def test_unicode_line_separators_inside_a_text_are_kept(write: Callable[..., Path]) -> None:
    rows = read_jsonl(write("a.jsonl", '{"text": "a\u2028b\x85c"}\n'), "a.jsonl")
    assert rows[0].values == {"text": "a\u2028b\x85c"}


def test_a_whole_surrogate_pair_is_one_character(write: Callable[..., Path]) -> None:
    rows = read_jsonl(write("a.jsonl", '{"text": "\\ud83d\\ude00"}\n'), "a.jsonl")
    assert rows[0].values == {"text": "😀"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "a"', "this is not valid JSON (Expecting ',' delimiter at character 13)"),
        ("{'text': 1}", "this is not valid JSON"),
        ('{"text": "a"} {"text": "b"}', "this is not valid JSON (Extra data at character 15)"),
        ('["text"]', "expected a JSON object, found a list"),
        ('"text"', "expected a JSON object, found a text"),
        ("3", "expected a JSON object, found a number"),
        ("null", "expected a JSON object, found null"),
        ("true", "expected a JSON object, found true or false"),
        ('{"text": "a", "label": 1, "text": "b"}', "the key 'text' stands twice in one object"),
        ('{"text": {"a": 1, "a": 2}}', "the key 'a' stands twice in one object"),
        ('{"text": NaN}', "NaN is not valid JSON; write null for a missing value"),
        ('{"text": -Infinity}', "-Infinity is not valid JSON"),
        ('{"text": "\\uD83D"}', "the escape \\ud83d is half a character"),
        ('{"text": ' + "9" * 5000 + "}", "5000 digits"),
        ("[" * 200_000, "nested too deeply"),
    ],
    ids=lambda value: value[:24],
)
def test_a_bad_line_is_named_with_what_is_wrong(write: Callable[..., Path], line: str, problem: str) -> None:
    error = fault(write("a.jsonl", '{"text": "fine"}\n' + line + "\n"))
    assert error.message.startswith("train.jsonl, line 2: ")
    assert problem in error.message
    assert error.message.endswith(".")


def test_a_line_that_is_not_json_is_answered_with_an_example(write: Callable[..., Path]) -> None:
    assert '{"text": "good", "label": "positive"}' in fault(write("a.jsonl", "text,label\n")).hint


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_without_rows_is_refused(write: Callable[..., Path], content: str) -> None:
    assert fault(write("a.jsonl", content)).message == "train.jsonl has no rows."
