"""A pytest plugin that points PEFT's own tests at our two methods, beside stock VeRA.

It runs in a process of its own, in a folder of tiny models. The rows are those of
:mod:`tests.peft_suite.rows`, and tests without a row of ours are not run; what else differs from PEFT's own
run, all of it, stands in :mod:`tests.peft_suite.changes`.
"""

from __future__ import annotations

import gc
import json
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.peft_suite.changes import change_helpers, learning_rate, stand_in_for_diffusers
from tests.peft_suite.models import write_models
from tests.peft_suite.rows import NAMES, our_rows

MARKERS = ("single_gpu_tests", "multi_gpu_tests", "regression", "bitsandbytes")
"""PEFT's own marks; its configuration of pytest is not used."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the counts go."""
    parser.addoption("--peft-report", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Know PEFT's marks, write the models into the working directory, and start to count."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    write_models(Path.cwd())
    stand_in_for_diffusers()
    config.pluginmanager.register(_Counts(config.getoption("--peft-report")))


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put our rows in the place of PEFT's."""
    markers = metafunc.definition.own_markers
    for index, marker in enumerate(markers):
        if marker.name != "parametrize":
            continue
        names = [name.strip() for name in marker.args[0].split(",")]
        if "config_cls" not in names:
            continue
        rows = our_rows(metafunc.function.__name__, names, marker.args[1])
        if rows is not None:
            values = rows if len(names) > 1 else [row[0] for row in rows]
            markers[index] = pytest.mark.parametrize(marker.args[0], values).mark


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of our rows, and note whose each is."""
    dropped = [item for item in items if _method_of(item) is None]
    items[:] = [item for item in items if _method_of(item) is not None]
    for item in items:
        item.user_properties.append(("method", _method_of(item)))
    config.hook.pytest_deselected(items=dropped)
    change_helpers()
    # PEFT searches for garbage behind every test; the libraries are a million objects, and none of it.
    gc.freeze()


def _parameters_of(item: Any) -> dict[str, Any]:
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    return parameters


def _method_of(item: pytest.Item) -> str | None:
    config_class = _parameters_of(item).get("config_cls")
    return NAMES.get(config_class) if isinstance(config_class, type) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test, with a lower learning rate where it has one for our methods."""
    with learning_rate(getattr(item, "originalname", item.name), _parameters_of(item)):
        return (yield)


class _Counts:
    """Passed, skipped and failed tests of each method, written as JSON at the end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._failures: dict[str, list[str]] = defaultdict(list)
        self._reasons: dict[str, Counter[str]] = defaultdict(Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test by what became of it."""
        method = dict(report.user_properties)["method"]
        if report.failed:
            self._counts[method]["failed"] += 1
            self._failures[method].append(f"{report.nodeid}\n{report.longreprtext}")
        elif report.skipped:
            self._counts[method]["skipped"] += 1
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            self._reasons[method][reason.removeprefix("Skipped: ")] += 1
        elif report.when == "call":
            self._counts[method]["passed"] += 1

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        document = {
            method: {
                **{outcome: counts[outcome] for outcome in ("passed", "skipped", "failed")},
                "failures": self._failures[method],
                "reasons": dict(self._reasons[method]),
            }
            for method, counts in self._counts.items()
        }
        self._file.write_text(json.dumps(document, indent=1), encoding="utf-8")
