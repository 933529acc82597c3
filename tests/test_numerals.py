"""Numbers with their nouns."""

from __future__ import annotations

from loretta_cli.numerals import counted, memory_in_words


def test_one_is_singular_and_every_other_number_is_not() -> None:
    assert [counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(1200, "entry", "entries") == "1,200 entries"


def test_memory_is_said_in_the_unit_that_fits() -> None:
    sizes = (0, 2**20 - 1, 2**20, 812 * 2**20, 3 * 2**29)
    assert [memory_in_words(size) for size in sizes] == [
        *("0 MiB", "< 1 MiB", "1 MiB", "812 MiB", "1.5 GiB"),
    ]
