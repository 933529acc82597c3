"""``loretta show``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loretta_cli.cli import run_curves
from loretta_cli.cli.run_rows import age_in_words, bytes_in_words
from tests.cli.conftest import FinishedRun
from tests.command_line import loretta
from tests.run_folders import config_of_run, write_finished, write_trajectory, write_unfinished


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A working directory with two finished runs and a stopped one by forward passes."""
    runs = tmp_path / "runs"
    write_finished(runs / "one", score=0.8)
    write_finished(runs / "other", config_of_run("training.seed=1", method="adp"), score=0.7, steps=12)
    stopped = write_unfinished(
        runs / "stopped", config_of_run("training.gradient=zo"), checkpoint=4, steps=6, total=12
    )
    write_trajectory(stopped)
    return tmp_path


def shown(here: Path, *arguments: object) -> str:
    """What is printed."""
    outcome = loretta("show", *arguments, cwd=here)
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.stdout


def test_a_finished_run_is_shown_with_settings_scores_curves_files_and_what_to_do(here: Path) -> None:
    text = shown(here, "one")

    assert text.startswith("runs/one: finished\n")
    assert re.search(r"^trainable +1,000 of 20,000 \(5\.000 %\)$", text, re.MULTILINE)
    assert re.search(r"^adapter\.tt_rank +5 +--set$", text, re.MULTILINE)
    assert re.search(r"^training\.learning_rate +0\.005 +filled in$", text, re.MULTILINE)
    assert "Validation, 50 rows, the adapter of step 4 of 6" in text
    assert re.search(r"^accuracy +0\.8000$", text, re.MULTILINE)
    assert re.search(r"^train loss +█▄▂▂▁▁ +1\.000 +0\.1667 +0\.1667 +1\.000$", text, re.MULTILINE)
    assert re.search(r"^selection accuracy +·▁▁██[▄▅] ", text, re.MULTILINE)
    assert re.search(r"^adapter/ +4\.1 kB$", text, re.MULTILINE)
    assert "  loretta merge runs/one --output runs/one/merged\n" in text


def test_a_stopped_run_by_forward_passes_is_shown_with_its_trajectory(here: Path) -> None:
    text = shown(here, "runs/stopped")

    assert text.startswith("runs/stopped: stopped at 4/12\n")
    assert "Best evaluation so far, selection rows, step 4" in text
    assert re.search(r"^queries +▁▁▁██ +1 +2 +1 +2$", text, re.MULTILINE)
    assert re.search(r"^projected gradient +▁▁▁██x +0\.5000 +1\.000", text, re.MULTILINE)
    assert re.search(r"^clip +1 +2$", text, re.MULTILINE)
    assert re.search(r"^rollback +1 +6$", text, re.MULTILINE)
    assert text.endswith("Next:\n  loretta train --output runs/stopped --resume\n")


def test_the_best_adapter_of_a_stopped_run_can_be_asked(here: Path) -> None:
    best = here / "runs" / "stopped" / "best"
    best.mkdir()
    (best / "adapter_config.json").write_text("{}", encoding="utf-8")

    assert shown(here, "runs/stopped").endswith(
        "Next:\n  loretta train --output runs/stopped --resume\n"
        "  loretta predict runs/stopped --checkpoint best\n"
        "  loretta eval runs/stopped --checkpoint best\n"
    )


def test_a_score_of_the_selection_rows_is_told_as_one(here: Path) -> None:
    assert re.search(
        r"^score +accuracy 0\.7000, on the selection rows so far$", shown(here, "stopped"), re.MULTILINE
    )
    assert "selection rows so far" not in shown(here, "one")
    both = shown(here, "one", "stopped").partition("Figures\n")[2]
    assert re.search(r"^accuracy +0\.8000 +0\.7000\*$", both, re.MULTILINE)
    assert "\n* on the selection rows so far\n" in both


def test_a_damaged_run_is_shown_as_far_as_it_can_be(here: Path) -> None:
    (here / "runs" / "one" / "config.yaml").write_text("[", encoding="utf-8")

    text = shown(here, "one")

    assert text.startswith("runs/one: damaged\n")
    assert "config.yaml, line 1" in text
    assert "Next:" not in text


def test_two_runs_are_compared_with_the_better_one_named(here: Path) -> None:
    text = shown(here, "one", "other")

    settings = text.partition("Settings that differ\n")[2].partition("Validation\n")[0]
    assert [line.split()[0] for line in settings.splitlines()[2:]] == ["adapter.method", "training.seed"]
    assert re.search(r"^accuracy +0\.8000 +0\.7000 +A$", text, re.MULTILINE)
    assert re.search(r"^loss +0\.5000 +0\.5000 +=$", text, re.MULTILINE)
    assert "Curves, one scale, one axis of steps" in text
    lines = [line for line in text.splitlines() if re.match(r"(train loss +A|  +B) +█", line)][:2]
    drawn = [re.findall("[▁-█]+", line)[0] for line in lines]
    assert [len(line) for line in drawn] == [6, 12], "the axis is that of the longer one"


def test_of_a_loss_the_lower_one_is_better(here: Path) -> None:
    write_finished(here / "runs" / "low", metrics={"accuracy": 0.8, "loss": 0.1})

    document = loretta("show", "one", "low", "--json", cwd=here).document

    assert document["metrics"] == [
        {"metric": "accuracy", "values": [0.8, 0.8], "better": []},
        {"metric": "loss", "values": [0.5, 0.1], "better": ["B"]},
    ]


def test_an_unfinished_run_is_compared_by_the_evaluations_so_far(here: Path) -> None:
    text = shown(here, "one", "stopped")

    assert "Best evaluation so far, selection rows" in text
    assert re.search(r"^accuracy +0\.7000 +0\.7000 +=$", text, re.MULTILINE)


def test_scores_of_different_tasks_are_shown_but_not_compared(here: Path) -> None:
    write_finished(here / "runs" / "trec", config_of_run(task="trec"), score=0.9)

    text = shown(here, "one", "trec")

    assert "A is on sst2, B is on trec: scores of different tasks cannot be compared" in text
    assert re.search(r"^accuracy +0\.8000 +0\.9000 +-$", text, re.MULTILINE)
    assert "each on its own scale" in text


def test_scores_on_other_rows_get_a_caveat(here: Path) -> None:
    write_finished(here / "runs" / "few", config_of_run("data.validation_rows=9"), score=0.9)

    assert "They may be scored on different rows (data.validation_rows differ)." in shown(here, "one", "few")


def test_own_data_from_two_places_is_not_compared(here: Path) -> None:
    for name in ("x", "y"):
        config = config_of_run(f"data.source={name}.csv", task="classification")
        write_finished(here / "runs" / name, config)

    assert not loretta("show", "x", "y", "--json", cwd=here).document["comparable"]


def test_the_document_has_settings_curves_events_files_and_commands(here: Path) -> None:
    (run,) = loretta("show", "stopped", "--json", cwd=here).document["runs"]

    assert run["settings"][0] == {"key": "adapter.tt_rank", "value": 5, "origin": "--set"}
    assert run["curves"]["train_loss"]["steps"] == [1, 2, 3, 4, 5, 6]
    assert run["curves"]["projected_gradient"]["values"][-1] is None
    assert run["events"] == [{"step": 2, "event": "clip"}, {"step": 6, "event": "rollback"}]
    assert "checkpoints/ (1 checkpoint)" in run["files"]
    assert run["next"] == ["loretta train --output runs/stopped --resume"]


def test_long_curves_are_thinned_in_the_document_and_keep_their_end() -> None:
    steps = list(range(1, 5 * run_curves.MOST_POINTS))
    course = run_curves.Course(steps, [float(step) for step in steps])

    points = run_curves.as_json({"train loss": course})["train_loss"]

    assert len(points["steps"]) <= run_curves.MOST_POINTS
    assert points["steps"][-1] == points["values"][-1] == steps[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("oen",), "There is no run oen."),
        (("one", "runs/one"), "The run runs/one is given twice."),
        (("one", "other", "--picture", "x.png"), "--picture draws the curves of one run."),
        (("one", "--picture", "missing/x.png"), "There is no folder missing for x.png."),
        (("one", "--picture", "x.pdf"), "--picture writes a PNG; found 'x.pdf'."),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(
    here: Path, arguments: tuple[str, ...], message: str
) -> None:
    outcome = loretta("show", *arguments, cwd=here)

    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_the_curves_so_far_are_drawn_on_request(here: Path) -> None:
    text = shown(here, "stopped", "--picture", "so-far.png")

    assert text.endswith("written: so-far.png\n")
    assert (here / "so-far.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_curve_fits_the_terminal(here: Path, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    write_unfinished(here / "runs" / "long", steps=900)

    text = shown(here, "long")

    lines = text.partition("Curves over 900 steps\n")[2].splitlines()[:6]
    assert max(map(len, lines)) <= int(columns)
    assert max(map(len, lines)) > int(columns) - 8 or columns == "120"


def test_without_unicode_curves_are_drawn_in_ascii(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = run_curves.Canvas(80, ascii_only=True)
    monkeypatch.setattr(run_curves.Canvas, "of_stdout", lambda: canvas)

    text = shown(here, "one")

    assert text.isascii()
    assert re.search(r"^train loss +#-", text, re.MULTILINE)


def test_a_real_run_is_shown_with_the_origins_of_its_settings(rep_run: FinishedRun, tmp_path: Path) -> None:
    text = shown(tmp_path, rep_run.path)

    assert re.search(r"^training\.max_steps +6 +--set$", text, re.MULTILINE)
    assert re.search(r"^data\.source .* flag$", text, re.MULTILINE)
    assert re.search(r"^training\.learning_rate +0\.005 +filled in$", text, re.MULTILINE)


def test_sizes_and_ages_are_in_the_unit_that_fits() -> None:
    sizes = {0: "0 B", 999: "999 B", 54_321: "54.3 kB", 999_999: "1.0 MB", 123_456_789: "123 MB"}
    ages = {5: "5 s", 59.9: "60 s", 600: "10 min", 7200: "2 h", 86400 * 3: "3 d", 86400 * 800: "2 y"}

    assert {size: bytes_in_words(size) for size in sizes} == sizes
    assert {age: age_in_words(0.0, float(age)) for age in ages} == ages
    assert bytes_in_words(None) == "-"
