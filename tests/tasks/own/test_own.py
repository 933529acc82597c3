"""The tasks on the user's own columns by name; what all of them refuse."""

from __future__ import annotations

from typing import Any

import pytest

from loretta_cli.config.loading import load_config
from loretta_cli.config.recipes import find_recipe, shipped_recipes
from loretta_cli.errors import ConfigError
from loretta_cli.tasks import OWN, check_task
from loretta_cli.tasks.own.asked import OWN_SETTINGS

ROWS: dict[str, dict[str, Any]] = {
    "classification": {"text": "a", "label": "x"},
    "regression": {"text": "a", "score": 1},
    "multiple-choice": {"text": "a", "options": ["x", "y"], "label": 0},
    "generation": {"prompt": "a", "completion": "b"},
    "language-modeling": {"text": "a"},
}


def rows(name: str) -> list[dict[str, Any]]:
    return [ROWS[name], {**ROWS[name], "label": "y"}] if name == "classification" else [ROWS[name]]


def test_every_task_is_tried_here() -> None:
    assert sorted(ROWS) == OWN.names()


@pytest.mark.parametrize("name", ROWS)
def test_a_task_is_found_by_name_and_reads_a_row(name: str, make) -> None:
    made = make(name, rows(name))
    check_task(name)
    assert made.task.name == name
    assert made.task.forms
    assert made.task.roles
    assert len(made.examples) == len(rows(name))


@pytest.mark.parametrize("name", ROWS)
def test_columns_that_are_found_are_noted_and_columns_that_are_given_are_not(name: str, make) -> None:
    made = make(name, rows(name))
    assert any(note.startswith("columns found: ") for note in made.notes)
    again = make(name, rows(name), {role: column for role, column in made.task.roles.items() if column})
    assert not any(note.startswith("columns found: ") for note in again.notes)
    assert again.task.roles == made.task.roles


@pytest.mark.parametrize("name", ROWS)
def test_a_setting_that_a_task_does_not_read_is_refused(name: str, make) -> None:
    reads = OWN.get(name).reads
    assert set(reads) <= set(OWN_SETTINGS)
    values: dict[str, Any] = {
        "labels": ["x", "y"],
        "options": ["x", "y"],
        "stop": ["."],
        "metrics": ["accuracy"],
        "max_new_tokens": 5,
    }
    for key in set(OWN_SETTINGS) - set(reads):
        group, _, role = key.rpartition(".")
        columns = {role: "text"} if group == "data.columns" else {}
        task = {} if columns else {role: values.get(role, "{text}")}
        with pytest.raises(ConfigError, match=f"{key} is set, but the task {name} does not read it"):
            make(name, rows(name), columns, **task)


@pytest.mark.parametrize("name", ["classification", "regression", "multiple-choice", "generation"])
def test_an_unknown_metric_is_refused_with_the_nearest(name: str, make) -> None:
    main = make(name, rows(name)).task.main_metric
    with pytest.raises(ConfigError, match=f"unknown metric '{main}s' for the task {name}") as caught:
        make(name, rows(name), metrics=[f"{main}s"])
    assert f"Did you mean {main!r}?" in caught.value.hint
    with pytest.raises(ConfigError, match="twice"):
        make(name, rows(name), metrics=[main, main])


@pytest.mark.parametrize("name", ROWS)
def test_every_metric_of_a_task_is_one_that_can_be_computed(name: str, make) -> None:
    from loretta_cli.evaluation.metrics import SCORERS

    task = make(name, rows(name)).task
    known = {*SCORERS[task.scorer], "perplexity"}
    assert set(task.metrics) <= known
    others = {
        "classification": ["matthews_correlation", "f1"],
        "generation": ["perplexity", "f1"],
        "regression": ["pearson"],
    }.get(name)
    if others:
        assert make(name, rows(name), metrics=others).task.metrics == tuple(others)
        assert set(others) <= known


def test_a_misspelt_task_gets_the_name_of_an_own_one() -> None:
    with pytest.raises(ConfigError) as caught:
        check_task("multiple_choice")
    assert "Did you mean 'multiple-choice'?" in caught.value.hint


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith("own/")])
def test_a_recipe_for_own_data_names_an_own_task_and_settings_that_it_reads(name: str) -> None:
    config = load_config(find_recipe(name)).config
    reads = OWN.get(config.task.name or "").reads
    given = {f"data.columns.{role}" for role in config.data.columns.model_fields_set}
    given |= {f"task.{key}" for key in config.task.model_fields_set - {"name"}}
    assert given <= set(reads)
    assert config.data.source


def test_there_is_a_recipe_for_every_own_task() -> None:
    names = [name for name in shipped_recipes() if name.startswith("own/")]
    assert {load_config(find_recipe(name)).config.task.name for name in names} == set(OWN)
