"""Numbers with their nouns."""

from __future__ import annotations

from loretta_cli.numerals import counted


def test_one_is_singular_and_every_other_number_is_not() -> None:
    assert [counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(1200, "entry", "entries") == "1,200 entries"
