"""The live table on terminals of many widths, as a terminal emulator shows it."""

from __future__ import annotations

import io
import itertools
import re
from typing import Any

import pyte
import pytest
from rich.console import Console

from loretta_cli.errors import TrainingError
from loretta_cli.report.console import ConsoleReporter
from loretta_cli.report.live_table import LiveTable
from loretta_cli.report.pace import Pace

PACE = Pace(2.0, 12_345.6, 81.25, memory_bytes=3 * 2**30)
ZEROTH_ORDER = Pace(2.0, 12_345.6, 81.25, 99.54, 4, 3 * 2**30)
HEADS = ("epoch", "loss", "accuracy", "best", "rate", "tokens/s", "memory", "elapsed", "eta")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture(autouse=True)
def _an_ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def screen_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Train on a terminal of a width; returns the emulator's screen."""

    def show(width: int, *, metric: str = "accuracy", pace: Pace | None = PACE, end: bool = True) -> Any:
        monkeypatch.setenv("COLUMNS", str(width))
        stream = Terminal()
        reporter = ConsoleReporter(Terminal(), stream)
        reporter.training_started(12_000)
        for step in range(10, 210, 10):
            reporter.logged(step, {"loss": 2 - step / 150, "learning_rate": 1e-3, "epoch": step / 100}, pace)
        reporter.evaluated(200, {metric: 0.8125, "loss": 0.4}, split="validation", is_best=True)
        reporter.evaluated(300, {metric: 0.75, "loss": 0.5}, split="validation", is_best=False)
        reporter.note("a note")
        if end:
            reporter.training_ended()
        else:
            reporter.failure(TrainingError("It broke."))
        screen = pyte.Screen(width, 40)
        pyte.Stream(screen).feed(stream.getvalue().replace("\n", "\r\n"))
        return screen

    return show


def lines(screen: Any) -> list[str]:
    """What stands on the screen."""
    return [line.rstrip() for line in screen.display if line.strip()]


def heads(screen: Any) -> set[str]:
    """The names of the figures that are shown."""
    text = "\n".join(lines(screen))[lines_before_table(screen) :]
    return {head for head in (*HEADS, "passes/s", "queries", "rows/s") if re.search(rf"\b{head}(?!\S)", text)}


def lines_before_table(screen: Any) -> int:
    """Where in the text the table begins: behind its bar."""
    text = "\n".join(lines(screen))
    return text.index("/12,000")


def test_a_wide_terminal_has_all_figures_in_one_row(screen_of: Any) -> None:
    screen = screen_of(120)

    assert heads(screen) == set(HEADS)
    names, values = lines(screen)[-2:]
    for name, value in {
        "epoch": "2.00",
        "accuracy": "0.7500",
        "best": "0.8125 @200",
        "rate": "1.0e-03",
        "tokens/s": "12,346",
        "memory": "3.0 GiB",
    }.items():
        end = names.index(name) + len(name)
        assert values[:end].endswith(value), name
    course = re.search("0.6667 ↓  ([▁-█]{10}) ", values)
    assert course
    assert [*course[1]] == sorted(course[1], reverse=True)
    assert course[1][0] + course[1][-1] == "█▁"
    assert lines(screen)[-3].startswith("Training ━")
    assert lines(screen)[-3].endswith("200/12,000")


def test_eighty_columns_have_all_figures_in_two_rows(screen_of: Any) -> None:
    screen = screen_of(80)

    assert heads(screen) == set(HEADS)
    assert len(lines(screen)[lines(screen).index("a note") + 1 :]) == 5


def test_a_narrow_terminal_has_fewer_figures_in_one_row(screen_of: Any) -> None:
    by_width = {width: heads(screen_of(width)) for width in (79, 60, 50, 40)}

    assert {"loss", "eta", "accuracy", "tokens/s"} == by_width[40] == by_width[50]
    assert by_width[50] < by_width[60] < by_width[79] < set(HEADS)


@pytest.mark.parametrize("width", [*range(40, 140, 7), 80])
@pytest.mark.parametrize("metric", ["accuracy", "matthews_correlation", "accuracy_mismatched"])
def test_no_line_of_the_table_is_wrapped(screen_of: Any, width: int, metric: str) -> None:
    shown = lines(screen_of(width, metric=metric))
    table = shown[shown.index("a note") + 1 :]

    assert len(table) == (5 if width >= 80 and len(table) == 5 else 3)
    assert "/12,000" in table[0]
    assert sum(line.count("loss") for line in table) == 1


def test_a_zeroth_order_training_shows_its_forward_passes_and_queries(screen_of: Any) -> None:
    screen = screen_of(120, pace=ZEROTH_ORDER)

    assert {"passes/s", "queries"} <= heads(screen)
    assert "tokens/s" not in heads(screen)
    assert "99.5" in lines(screen)[-1]


def test_rows_stand_in_for_tokens_that_are_not_known(screen_of: Any) -> None:
    screen = screen_of(120, pace=Pace(2.0, None, 81.25))

    assert "rows/s" in heads(screen)
    assert "81.2" in lines(screen)[-1]


def test_an_evaluation_by_loss_alone_is_not_taken_for_that_of_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    reporter = ConsoleReporter(Terminal(), stream)
    reporter.training_started(10)
    reporter.logged(5, {"loss": 0.5})
    reporter.evaluated(5, {"loss": 0.75}, split="selection", is_best=True)
    reporter.training_ended()

    assert "selection loss" in stream.getvalue()


def test_a_resumed_training_has_its_best_evaluation_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    reporter = ConsoleReporter(Terminal(), stream)
    reporter.training_started(10, 5, (4, "accuracy", 0.875))
    reporter.logged(6, {"loss": 0.5})
    reporter.training_ended()

    assert "0.8750 @4" in stream.getvalue()


def test_a_failure_leaves_the_table_whole_and_the_cursor_visible(screen_of: Any) -> None:
    screen = screen_of(100, end=False)

    assert not screen.cursor.hidden
    assert lines(screen)[-1] == "Error: It broke."
    assert sum("/12,000" in line for line in lines(screen)) == 1
    assert [line for line in lines(screen) if "note" in line] == ["a note"]
    assert lines(screen).index("a note") < lines(screen).index("Error: It broke.") - 2


def test_a_column_that_was_wider_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    reporter = ConsoleReporter(Terminal(), stream)
    reporter.training_started(10)
    where = []
    reporter.logged(1, {"loss": 0.5})
    reporter.logged(1, {"loss": 0.5})
    for rate in (1_234_567.0, 9.0):
        reporter.logged(1, {"loss": 0.5}, Pace(1.0, rate, 1.0))
        reporter.note("look")
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
        where.append(plain[plain.rindex("look") :].index("elapsed"))
    reporter.training_ended()

    assert where[0] == where[1]


def test_the_line_of_an_evaluation_keeps_what_has_room(screen_of: Any) -> None:
    above = {width: lines(screen_of(width))[:2] for width in (40, 60)}

    assert above[60][0] == "step   200  accuracy 0.8125  loss 0.4000  ★ best"
    assert above[40] == [
        "step   200  accuracy 0.8125  ★ best",
        "step   300  accuracy 0.7500  loss 0.5000",
    ]


def test_the_course_of_a_long_training_is_that_of_all_its_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    table = LiveTable(20_000)
    for step in range(20_000):
        table.logged({"loss": 1 - step / 20_000}, None)

    stream = Terminal()
    Console(file=stream, width=120, no_color=True).print(table)

    course = re.search("[▁-█]{10}", stream.getvalue())
    assert course
    steps = [ord(before) - ord(after) for before, after in itertools.pairwise(course[0])]
    assert set(steps) <= {0, 1}, "a straight line"
    assert course[0][0] + course[0][-1] == "█▁"
    assert len(table._course.values()) <= 1001
