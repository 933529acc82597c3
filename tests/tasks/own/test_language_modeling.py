"""Text to learn: a column of it, or the paragraphs of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.files import read_file


def test_a_text_is_learned_as_it_stands(make) -> None:
    made = make("language-modeling", [{"text": " A line.\n", "id": 3}])
    assert dict(made.examples[0].texts) == {"text": " A line.\n"}
    assert made.task.kind == "language-modeling"
    assert made.task.metrics == ("perplexity",)
    assert made.task.forms == ("generation",)


def test_another_column_is_given(make) -> None:
    made = make("language-modeling", [{"text": "a", "body": "b"}], {"text": "body"})
    assert dict(made.examples[0].texts) == {"text": "b"}


def test_an_empty_text_is_refused_with_its_place(make) -> None:
    with pytest.raises(DataError, match=r"mine\.jsonl, line 2, column 'text': the text is empty"):
        make("language-modeling", [{"text": "a"}, {"text": " "}])


def test_the_paragraphs_of_a_text_file_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(b"\n\nOne line\r\nand another.\n \n\n  Two.\n")
    rows = read_file(path, "book.txt")
    assert [(row.values, row.number) for row in rows] == [
        ({"text": "One line\nand another."}, 3),
        ({"text": "  Two."}, 7),
    ]
    assert rows[1].place == "book.txt, line 7"


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_a_text_file_without_text_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "book.txt").write_text(content)
    with pytest.raises(DataError, match=r"book\.txt has no text"):
        read_file(tmp_path / "book.txt", "book.txt")
