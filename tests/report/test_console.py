"""The reporter for a terminal, on streams that say they are one."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.report.console import ConsoleReporter

if TYPE_CHECKING:
    from collections.abc import Iterator

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7])[;m]")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture(autouse=True)
def _a_terminal_of_100_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def out() -> Terminal:
    return Terminal()


@pytest.fixture
def err() -> Terminal:
    return Terminal()


@pytest.fixture
def reporter(out: Terminal, err: Terminal) -> Iterator[ConsoleReporter]:
    reporter = ConsoleReporter(out, err)
    yield reporter
    reporter.training_ended()


def shown(stream: io.StringIO) -> str:
    """What was written, without escape codes."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def last_table(stream: io.StringIO) -> list[str]:
    """The live table as it was drawn last: its bar, names and values."""
    drawn = [line.split("\r")[-1] for line in shown(stream).rstrip().splitlines()]
    return drawn[-3:]


def test_the_header_names_the_facts_with_their_brackets(
    reporter: ConsoleReporter, out: Terminal, err: Terminal
) -> None:
    reporter.header("Training [adp]", {"model": "/m/[bold]/x", "rows": "3,270"})
    text = shown(err)
    assert "Training [adp]" in text
    assert "/m/[bold]/x" in text
    assert "3,270" in text
    assert out.getvalue() == ""


def test_text_with_brackets_and_colons_is_never_markup(
    reporter: ConsoleReporter, out: Terminal, err: Terminal
) -> None:
    tricky = "[red]label[/red] [/] :smile: \x1b[2Jend"
    plain = "[red]label[/red] [/] :smile: [2Jend"
    reporter.note(tricky)
    reporter.warn(tricky)
    reporter.failure(ConfigError(tricky, hint=tricky))
    reporter.table(tricky, [tricky], [[tricky]])
    reporter.line(tricky)
    reporter.next_commands([tricky])
    assert shown(err).splitlines() == [plain, f"Warning: {plain}", f"Error: {plain}", f"Hint: {plain}"]
    assert shown(out).count(plain) == 5
    assert "\x1b[2J" not in out.getvalue() + err.getvalue()


def test_the_table_shows_step_loss_trend_and_main_metric(reporter: ConsoleReporter, err: Terminal) -> None:
    reporter.training_started(200)
    reporter.logged(10, {"loss": 0.7, "learning_rate": 1e-3})
    reporter.logged(20, {"loss": 0.65})
    reporter.evaluated(20, {"accuracy": 0.81, "loss": 0.6}, split="validation", is_best=True)
    reporter.training_ended()
    bar, names, values = last_table(err)
    assert "20/200" in bar
    assert "0.6500 ↓" in values
    assert values[: names.index("accuracy") + len("accuracy")].endswith("0.8100")
    assert re.search(r"\d:\d\d:\d\d", values[names.index("accuracy") :])


@pytest.mark.parametrize(("second", "mark"), [(0.8, "↑"), (0.6, "↓"), (0.7, "→")])
def test_the_trend_compares_with_the_loss_before(
    reporter: ConsoleReporter, err: Terminal, second: float, mark: str
) -> None:
    reporter.training_started(200)
    reporter.logged(1, {"loss": 0.7})
    reporter.note("one")
    reporter.logged(2, {"loss": second})
    reporter.training_ended()
    assert not re.search("0.7000 [↑↓→]", shown(err)[: shown(err).index("one")])
    assert f"{second:.4f} {mark}" in last_table(err)[-1]


def test_a_log_event_without_loss_keeps_the_last_one(reporter: ConsoleReporter, err: Terminal) -> None:
    reporter.training_started(200)
    reporter.logged(1, {"loss": 0.7})
    reporter.logged(2, {"seconds": 1.0})
    reporter.training_ended()
    assert "0.7000 " in last_table(err)[-1]


def test_a_resumed_bar_starts_where_the_run_stopped(reporter: ConsoleReporter, err: Terminal) -> None:
    reporter.training_started(200, first_step=120)
    reporter.training_ended()
    assert "120/200" in last_table(err)[0]


def test_evaluations_stand_above_the_bar_with_a_star_on_the_best(
    reporter: ConsoleReporter, err: Terminal
) -> None:
    reporter.training_started(200)
    reporter.evaluated(20, {"accuracy": 0.81, "loss": 0.41}, split="validation", is_best=True)
    reporter.evaluated(40, {"accuracy": 0.80, "loss": 0.42}, split="validation", is_best=False)
    reporter.training_ended()
    lines = [line.split("\r")[-1] for line in shown(err).splitlines()]
    assert "step  20  accuracy 0.8100  loss 0.4100  ★ best" in lines
    assert "step  40  accuracy 0.8000  loss 0.4200" in lines
    assert "Training" in lines[-3]


def test_the_cursor_comes_back_and_stderr_is_restored(
    monkeypatch: pytest.MonkeyPatch, out: Terminal, err: Terminal
) -> None:
    monkeypatch.setattr(sys, "stderr", err)
    reporter = ConsoleReporter(out)
    stdout_before = sys.stdout
    reporter.training_started(10)
    assert sys.stdout is stdout_before
    print("from [another] library", file=sys.stderr)
    reporter.training_ended()
    reporter.training_ended()
    assert sys.stderr is err
    assert "from [another] library" in shown(err)
    assert err.getvalue().rindex("\x1b[?25h") > err.getvalue().rindex("\x1b[?25l")


def test_a_failure_takes_the_bar_down_first(reporter: ConsoleReporter, out: Terminal, err: Terminal) -> None:
    reporter.training_started(10)
    reporter.failure(ConfigError("Unknown key 'x'.", hint="Did you mean 'y'?"))
    assert shown(err).splitlines()[-2:] == ["Error: Unknown key 'x'.", "Hint: Did you mean 'y'?"]
    assert err.getvalue().index("\x1b[?25h") < err.getvalue().index("Unknown key")
    assert out.getvalue() == ""


def test_events_outside_training_are_harmless(reporter: ConsoleReporter, out: Terminal) -> None:
    reporter.progress(1)
    reporter.logged(1, {"loss": 0.5})
    reporter.evaluated(1, {"loss": 0.5}, split="validation", is_best=False)
    reporter.training_ended()
    reporter.result({"run": "x"})
    assert out.getvalue() == ""


def test_a_table_folds_long_cells_and_aligns_numbers(reporter: ConsoleReporter, out: Terminal) -> None:
    reporter.table("Counts", ["method", "trainable"], [["adp", "99,034"], ["x" * 150, "7"]])
    lines = shown(out).splitlines()
    assert lines[0] == "Counts"
    assert max(map(len, lines)) <= 100
    assert sum(line.count("x") for line in lines) == 150
    adp, first_fold = (next(line for line in lines if word in line) for word in ("adp", "xxx"))
    assert adp.rstrip().endswith("99,034")
    assert first_fold.rstrip().endswith(" 7")


def test_a_long_path_is_not_broken_by_new_lines(
    reporter: ConsoleReporter, out: Terminal, err: Terminal
) -> None:
    path = "/runs/" + "deep/" * 40
    reporter.note(f"saved to {path}")
    reporter.line(path)
    reporter.next_commands([f"loretta eval {path}"])
    assert f"saved to\n{path}\n" in shown(err)
    assert shown(out).splitlines() == [path, "Next:", f"  loretta eval {path}"]


def test_results_in_a_pipe_are_plain_and_uncut(err: Terminal) -> None:
    out = io.StringIO()
    reporter = ConsoleReporter(out, err)
    reporter.table("Counts", ["method", "trainable"], [["x" * 150, "7"]])
    reporter.next_commands(["loretta eval runs/x"])
    assert "x" * 150 in out.getvalue()
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().endswith("Next:\n  loretta eval runs/x\n")


def test_a_terminal_gets_colours_and_no_color_takes_them_away(
    monkeypatch: pytest.MonkeyPatch, out: Terminal
) -> None:
    def everything() -> str:
        stream = Terminal()
        reporter = ConsoleReporter(out, stream)
        reporter.header("Training", {"model": "m"})
        reporter.warn("careful")
        reporter.training_started(10)
        reporter.logged(1, {"loss": 0.5})
        reporter.evaluated(1, {"accuracy": 0.5}, split="validation", is_best=True)
        reporter.failure(ConfigError("No.", hint="Yes."))
        return stream.getvalue()

    assert COLOUR.search(everything())
    monkeypatch.setenv("NO_COLOR", "1")
    without = everything()
    assert not COLOUR.search(without)
    assert "careful" in without


def test_an_ascii_terminal_gets_ascii_marks_and_does_not_crash() -> None:
    class AsciiTerminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    buffer = io.BytesIO()
    reporter = ConsoleReporter(io.StringIO(), AsciiTerminal(buffer, encoding="ascii"))
    reporter.header("名", {"model": "名"})
    reporter.training_started(10)
    reporter.logged(1, {"loss": 0.5})
    reporter.logged(2, {"loss": 0.4})
    reporter.evaluated(2, {"accuracy": 0.5}, split="validation", is_best=True)
    reporter.training_ended()
    assert b"* best" in buffer.getvalue()
    assert b"0.4000 v  #_" in re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", buffer.getvalue())


def test_what_is_marked_is_underlined_and_has_a_colour(reporter: ConsoleReporter, out: Terminal) -> None:
    reporter.marked([("the day is", False), (" good", True)])

    assert shown(out) == "the day is good\n"
    assert "\x1b[1;4;32m good" in out.getvalue()


def test_a_dumb_terminal_has_brackets(monkeypatch: pytest.MonkeyPatch, out: Terminal, err: Terminal) -> None:
    monkeypatch.setenv("TERM", "dumb")

    ConsoleReporter(out, err).marked([("good", True)])

    assert out.getvalue().strip() != "good"
    assert "\x1b" not in out.getvalue()


def test_notes_are_wrapped_between_words_and_paths_stay_whole(
    reporter: ConsoleReporter, err: Terminal
) -> None:
    path = "/a/" + "long" * 30 + "/train.jsonl"
    labels = ", ".join(f"label_number_{number}" for number in range(12))

    reporter.note(f"8 rows from {path}, and more")
    reporter.warn(f"12 labels: {labels}")

    lines = shown(err).splitlines()
    assert any(path in line for line in lines)
    assert all(len(line) <= 100 for line in lines if path not in line)
    assert " ".join(line.strip() for line in lines).endswith(f"Warning: 12 labels: {labels}")


def test_the_words_of_a_failure_are_not_broken_so_that_commands_can_be_copied(
    reporter: ConsoleReporter, err: Terminal
) -> None:
    command = "loretta train --output runs/" + "long" * 30 + " --resume"

    reporter.failure(ConfigError("Too little is known.", hint=f"Go on: {command}"))

    assert f"Hint: Go on: {command}\n" in shown(err)
