"""The reporter for pipes and log files."""

from __future__ import annotations

import io
import re

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.report.pace import Pace
from loretta_cli.report.plain import PlainReporter


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def err() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def reporter(out: io.StringIO, err: io.StringIO) -> PlainReporter:
    return PlainReporter(out, err)


def test_a_logged_event_is_one_key_value_line(reporter: PlainReporter, err: io.StringIO) -> None:
    reporter.logged(10, {"loss": 0.693147, "learning_rate": 0.001})
    assert err.getvalue() == "step=10 loss=0.6931 learning_rate=0.001\n"


def test_a_training_adds_how_far_it_is_how_fast_it_goes_and_what_it_takes(
    reporter: PlainReporter, err: io.StringIO
) -> None:
    reporter.training_started(200)
    reporter.progress(10)
    pace = Pace(2.0, 5119.9, 40.25, memory_bytes=812 * 2**20)
    reporter.logged(10, {"loss": 0.693147, "learning_rate": 0.001}, pace)

    line = err.getvalue().splitlines()[-1]
    keys = "step loss learning_rate of tokens_per_second rows_per_second eta memory"
    assert [pair.partition("=")[0] for pair in line.split(" ")] == keys.split()
    assert line.startswith(
        "step=10 loss=0.6931 learning_rate=0.001 of=200 tokens_per_second=5120 rows_per_second=40.25 eta="
    )
    assert re.search(r" eta=\d+:\d\d:\d\d memory=812MiB$", line)


def test_a_zeroth_order_training_adds_its_forward_passes(reporter: PlainReporter, err: io.StringIO) -> None:
    reporter.training_started(200)
    reporter.logged(1, {"loss": 0.5}, Pace(1.0, None, 8.0, 16.0, 4))

    assert " rows_per_second=8 forward_passes_per_second=16 queries=4 eta=" in err.getvalue()
    assert "tokens_per_second" not in err.getvalue()


def test_before_the_first_step_there_is_no_time_to_go(reporter: PlainReporter, err: io.StringIO) -> None:
    reporter.training_started(200, first_step=5)
    reporter.logged(5, {"loss": 0.5})

    assert err.getvalue().splitlines()[-1] == "step=5 loss=0.5 of=200"


def test_a_resumed_training_says_what_its_best_evaluation_was(
    reporter: PlainReporter, err: io.StringIO
) -> None:
    reporter.training_started(200, 5, (4, "accuracy", 0.875))

    assert err.getvalue() == (
        "training: 200 steps, going on after step 5; best so far: accuracy=0.875 after step 4\n"
    )


@pytest.mark.parametrize(("is_best", "word"), [(True, "true"), (False, "false")])
def test_an_evaluation_is_one_key_value_line_that_says_whether_it_is_best(
    reporter: PlainReporter, err: io.StringIO, is_best: bool, word: str
) -> None:
    reporter.evaluated(32, {"accuracy": 0.81, "loss": 0.41}, split="validation", is_best=is_best)
    assert err.getvalue() == f"step=32 split=validation accuracy=0.81 loss=0.41 best={word}\n"


def test_a_step_writes_nothing(reporter: PlainReporter, err: io.StringIO) -> None:
    reporter.training_started(100)
    before = err.getvalue()
    for step in range(1, 101):
        reporter.progress(step)
    assert err.getvalue() == before


def test_training_says_its_steps_and_ends_once(reporter: PlainReporter, err: io.StringIO) -> None:
    reporter.training_started(100, first_step=40)
    reporter.progress(100)
    reporter.training_ended()
    reporter.training_ended()
    first, last = err.getvalue().splitlines()
    assert first == "training: 100 steps, going on after step 40"
    assert re.fullmatch(r"training ended: step=100 seconds=\d+\.\d", last)


def test_results_go_to_stdout_and_talk_goes_to_stderr(
    reporter: PlainReporter, out: io.StringIO, err: io.StringIO
) -> None:
    reporter.header("Training", {"model": "m", "adapter": "adp"})
    reporter.note("a note")
    reporter.warn("a warning")
    reporter.table("Counts", ["method", "trainable"], [["adp", "99,034"]])
    reporter.line("saved to runs/x")
    reporter.next_commands(["loretta eval runs/x"])
    reporter.result({"run": "runs/x"})
    assert err.getvalue() == "Training\n  model    m\n  adapter  adp\na note\nwarning: a warning\n"
    assert out.getvalue() == (
        "Counts\nmethod  trainable\n------  ---------\nadp        99,034\n"
        "saved to runs/x\nNext:\n  loretta eval runs/x\n"
    )


def test_no_next_commands_leave_no_heading(reporter: PlainReporter, out: io.StringIO) -> None:
    reporter.next_commands([])
    assert out.getvalue() == ""


def test_brackets_stay_and_control_characters_go(
    reporter: PlainReporter, out: io.StringIO, err: io.StringIO
) -> None:
    reporter.note("[red]a[/red] \x1b[31mb\r")
    reporter.line("[bold]\x1b[2J")
    assert err.getvalue() == "[red]a[/red] [31mb\n"
    assert out.getvalue() == "[bold][2J\n"


def test_a_failure_ends_the_training_and_gives_the_hint(reporter: PlainReporter, err: io.StringIO) -> None:
    reporter.training_started(10)
    reporter.failure(ConfigError("Unknown key 'x'.", hint="Did you mean 'y'?"))
    lines = err.getvalue().splitlines()
    assert lines[1].startswith("training ended: step=0")
    assert lines[2:] == ["error: Unknown key 'x'.", "hint: Did you mean 'y'?"]


def test_a_failure_without_hint_has_no_hint_line(
    reporter: PlainReporter, out: io.StringIO, err: io.StringIO
) -> None:
    reporter.failure(ConfigError("No."))
    assert err.getvalue() == "error: No.\n"
    assert out.getvalue() == ""


def test_a_locale_without_the_characters_does_not_stop_a_run() -> None:
    out, err = io.BytesIO(), io.BytesIO()
    reporter = PlainReporter(io.TextIOWrapper(out, encoding="ascii"), io.TextIOWrapper(err, encoding="ascii"))
    reporter.note("名")
    reporter.table("名", ["名"], [["前"]])
    assert err.getvalue() == b"?\n"


def test_one_step_is_no_steps(reporter: PlainReporter, err: io.StringIO) -> None:
    reporter.training_started(1)

    assert err.getvalue() == "training: 1 step\n"


def test_what_is_marked_stands_in_brackets(reporter: PlainReporter, out: io.StringIO) -> None:
    reporter.marked([("the day is", False), (" good", True)])

    opening, closing = (
        "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}",
        "\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}",
    )
    assert out.getvalue() == f"the day is{opening} good{closing}\n"


def test_brackets_are_ascii_where_the_stream_is(err: io.StringIO) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)

    PlainReporter(stream, err).marked([("a", True), ("b", False)])

    assert raw.getvalue().decode().strip() == "[[a]]b"
