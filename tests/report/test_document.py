"""The JSON reporter: one valid document on stdout, whatever happens."""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest

from loretta_cli.errors import DataError
from loretta_cli.report.document import JsonReporter, json_ready


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def err() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def reporter(out: io.StringIO, err: io.StringIO) -> JsonReporter:
    return JsonReporter(out, err)


def strict_json(text: str) -> object:
    """Parse JSON and refuse NaN and Infinity, which Python's parser takes and others do not."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_stdout_holds_the_document_and_nothing_else(
    reporter: JsonReporter, out: io.StringIO, err: io.StringIO
) -> None:
    reporter.header("Training", {"model": "m"})
    reporter.training_started(2)
    reporter.logged(1, {"loss": 0.5})
    reporter.evaluated(2, {"accuracy": 1.0}, split="validation", is_best=True)
    reporter.training_ended()
    reporter.table("Counts", ["a"], [["1"]])
    reporter.line("a line")
    reporter.next_commands(["loretta eval runs/x"])
    reporter.result({"run": Path("runs/x"), "metrics": {"accuracy": 1.0}})
    assert strict_json(out.getvalue()) == {
        "run": str(Path("runs/x")),
        "metrics": {"accuracy": 1.0},
        "schema_version": 1,
    }
    assert "step=1 loss=0.5 of=2 " in err.getvalue()
    assert "a line" not in err.getvalue()


def test_a_failure_is_a_document_too(reporter: JsonReporter, out: io.StringIO, err: io.StringIO) -> None:
    reporter.failure(DataError("Row 3 has no label: [x] “名”.", hint="Add one."))
    assert strict_json(out.getvalue()) == {
        "error": {"type": "DataError", "message": "Row 3 has no label: [x] “名”.", "hint": "Add one."},
        "schema_version": 1,
    }
    assert err.getvalue() == "error: Row 3 has no label: [x] “名”.\nhint: Add one.\n"


def test_a_failure_after_the_result_adds_no_second_document(
    reporter: JsonReporter, out: io.StringIO, err: io.StringIO
) -> None:
    reporter.result({"run": "x"})
    reporter.failure(DataError("Late."))
    assert strict_json(out.getvalue()) == {"run": "x", "schema_version": 1}
    assert "error: Late." in err.getvalue()


def test_a_second_result_is_refused(reporter: JsonReporter) -> None:
    reporter.result({})
    with pytest.raises(RuntimeError, match="one result"):
        reporter.result({})


def test_a_value_without_json_form_writes_no_half_document(reporter: JsonReporter, out: io.StringIO) -> None:
    with pytest.raises(TypeError):
        reporter.result({"first": 1, "broken": object()})
    assert out.getvalue() == ""
    reporter.failure(DataError("After all."))
    assert "error" in json.loads(out.getvalue())


def test_numbers_that_json_lacks_become_null(reporter: JsonReporter, out: io.StringIO) -> None:
    reporter.result({"loss": math.nan, "more": [math.inf, {"x": -math.inf}], "numpy": np.float32("nan")})
    assert strict_json(out.getvalue()) == {
        "loss": None,
        "more": [None, {"x": None}],
        "numpy": None,
        "schema_version": 1,
    }


def test_a_locale_without_the_characters_still_gets_the_whole_document() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")
    JsonReporter(stream, io.StringIO()).result({"label": "名"})
    stream.flush()
    assert json.loads(buffer.getvalue())["label"] == "名"


class _Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    count: int


@pytest.mark.parametrize(
    ("value", "ready"),
    [
        (_Colour.RED, "red"),
        (_Part("cores", 3), {"name": "cores", "count": 3}),
        ((1, 2.5, True, None), [1, 2.5, True, None]),
        ({1: "a"}, {"1": "a"}),
        (np.int64(5), 5),
        (np.float64(0.5), 0.5),
        (np.array([1.0, np.nan]), [1.0, None]),
    ],
)
def test_common_values_have_a_json_form(value: object, ready: object) -> None:
    result = json_ready(value)
    assert result == ready
    assert json.loads(json.dumps(result)) == ready


def test_of_many_results_each_is_a_line_that_is_there_at_once() -> None:
    flushed: list[str] = []

    class Stream(io.StringIO):
        def flush(self) -> None:
            flushed.append(self.getvalue())

    out = Stream()
    reporter = JsonReporter(out, io.StringIO(), lines=True)
    reporter.result({"row": 1})
    reporter.result({"row": 2})
    reporter.failure(DataError("Broken.", hint="Mend it."))

    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [row.get("row") for row in rows] == [1, 2, None]
    assert rows[2]["error"]["message"] == "Broken."
    assert len(flushed[0].splitlines()) == 1
