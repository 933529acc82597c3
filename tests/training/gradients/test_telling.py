"""Each act of a guard is said once, with what it means for the run."""

from __future__ import annotations

import pytest

from loretta_cli.config import ZerothOrderSettings
from loretta_cli.report import SilentReporter
from loretta_cli.training.gradients.guards import SIZES_NEEDED, Guard
from loretta_cli.training.gradients.telling import tell
from loretta_cli.training.gradients.trajectory import Record


class Listener(SilentReporter):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def note(self, message: str) -> None:
        self.heard.append(("note", message))

    def warn(self, message: str) -> None:
        self.heard.append(("warning", message))


def heard(*steps: tuple[float | None, tuple[float | None, ...], str, int | None]) -> list[tuple[str, str]]:
    listener, settings = Listener(), ZerothOrderSettings()
    guard = Guard(settings)
    for number, (loss, g, event, to) in enumerate(steps):
        record = Record(number, loss, g, 1e-3, 0.1, 1.0, number, event, to)
        guard.add(record)
        tell(listener, settings, record, guard)
    return listener.heard


CALM = (1.0, (1.0,), "", None)


def test_a_usual_step_is_not_told() -> None:
    assert heard(*[CALM] * 30) == []


@pytest.mark.parametrize(
    ("step", "kind", "words"),
    [
        ((None, (None,), "skip", None), "warning", "step 2: no slope of the loss is finite"),
        ((1.0, (5.0,), "clip", None), "note", "step 2: a slope was cut to 5 times the median"),
        ((None, (), "rollback", 0), "warning", "those of the start again, and steps are 10 times shorter"),
        ((None, (), "rollback", 1), "warning", "those after step 1 again"),
    ],
)
def test_an_event_is_told(
    step: tuple[float | None, tuple[float | None, ...], str, int | None], kind: str, words: str
) -> None:
    (found,) = heard(CALM, step)

    assert found[0] == kind
    assert words in found[1]


def test_a_rollback_names_the_loss_that_was_too_high() -> None:
    assert "over 2, not finite" in heard(CALM, (None, (), "rollback", 0))[0][1]


def test_a_run_that_has_no_slopes_is_told_once() -> None:
    ((kind, words),) = heard(*[(0.7, (0.0,), "", None)] * 3 * SIZES_NEEDED)

    assert kind == "warning"
    assert "nothing is trained; set a larger zo.epsilon" in words
