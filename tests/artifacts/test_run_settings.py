"""The settings of a run that say something, and where they were given."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.artifacts.run_settings import FILLED_IN, NOT_RECORDED, differing, settings_of, shown
from tests.run_folders import config_of_run, write_unfinished


def test_given_settings_come_first_with_their_origin(tmp_path: Path) -> None:
    config = config_of_run()
    run = write_unfinished(tmp_path / "run", config)

    settings = {one.key: (one.shown, one.origin) for one in settings_of(run, config)}

    assert settings == {
        "adapter.tt_rank": ("5", "--set"),
        "training.learning_rate": ("0.005", FILLED_IN),
    }
    assert next(iter(settings)) == "adapter.tt_rank"


@pytest.mark.parametrize("content", [None, "{", "[]", '{"origins": 3}'])
def test_a_run_without_readable_origins_still_has_its_settings(tmp_path: Path, content: str | None) -> None:
    config = config_of_run()
    run = write_unfinished(tmp_path / "run", config)
    run.origins_file.unlink()
    if content is not None:
        run.origins_file.write_text(content, encoding="utf-8")

    assert {one.origin for one in settings_of(run, config)} == {NOT_RECORDED}


def test_a_given_value_counts_even_if_it_is_the_default(tmp_path: Path) -> None:
    config = config_of_run("training.seed=0")
    run = write_unfinished(tmp_path / "run", config)
    run.origins_file.write_text('{"origins": {"training.seed": "recipe mine"}}', encoding="utf-8")

    assert settings_of(run, config)[0].origin == "recipe mine"


def test_only_what_differs_between_runs_is_told() -> None:
    one, other = config_of_run("output.dir=x"), config_of_run("output.dir=y", "training.seed=3", method="adp")

    assert differing([one, other]) == {"adapter.method": ["rep", "adp"], "training.seed": [0, 3]}
    assert differing([one, one]) == {}


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (["a", "b"], "a, b"), (0.0001, "0.0001"), (True, "True"), (7, "7")]
)
def test_values_are_shown_in_words(value: object, text: str) -> None:
    assert shown(value) == text
