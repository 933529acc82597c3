"""Shipped recipes: all load, and names lead to files inside their folder only."""

from __future__ import annotations

import pytest

from loretta_cli.config import recipes
from loretta_cli.config.loading import load_config
from loretta_cli.config.recipes import (
    find_recipe,
    matching_recipes,
    read_recipe,
    recipe_about,
    recipe_name,
    recipes_folder,
    shipped_recipes,
)
from loretta_cli.errors import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A recipes folder with a nested recipe, and a file outside it."""
    folder = tmp_path / "install" / "recipes"
    (folder / "paper").mkdir(parents=True)
    for name in ("quickstart", "paper/table2-boolq-adp"):
        (folder / f"{name}.yaml").write_text("training: {seed: 1}\n")
    (folder / "README.md").write_text("no recipe")
    (tmp_path / "install" / "outside.yaml").write_text("training: {seed: 2}\n")
    monkeypatch.setattr(recipes, "recipes_folder", lambda: folder)
    return folder


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_loads_and_opens_with_its_command(name):
    path = find_recipe(name)
    loaded = load_config(path)
    assert set(loaded.origins.values()) == {f"recipe {name}"}
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any(f"loretta train {name}" in line for line in head)


def test_quickstart_asks_for_what_is_bundled():
    config = load_config(find_recipe("quickstart")).config
    assert config.model.name == "bundled:minilm"
    assert config.data.source == "bundled:customer-messages"
    assert (config.data.columns.text, config.data.columns.label) == ("text", "intent")
    assert (config.task.name, config.adapter.method) == ("classification", "rep")
    assert config.training.epochs == 10


def test_names_are_listed_nested_and_without_suffix(folder):
    assert shipped_recipes() == ["paper/table2-boolq-adp", "quickstart"]


def test_a_name_leads_to_its_file(folder):
    assert find_recipe("paper/table2-boolq-adp") == folder / "paper" / "table2-boolq-adp.yaml"


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_a_path_leads_to_itself_even_upwards(folder, tmp_path, monkeypatch, suffix):
    (tmp_path / f"mine{suffix}").write_text("training: {seed: 1}\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    found = find_recipe(f"../mine{suffix}")
    assert found.resolve() == tmp_path / f"mine{suffix}"


def test_a_shipped_name_wins_over_a_local_file_without_suffix(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").write_text("training: {seed: 9}\n")
    assert find_recipe("quickstart") == folder / "quickstart.yaml"


@pytest.mark.parametrize("name", ["quickstrat", "quickstart.yaml", "Quickstart", "./quickstart"])
def test_a_near_name_gets_a_did_you_mean(folder, name):
    with pytest.raises(ConfigError) as caught:
        find_recipe(name)
    assert caught.value.hint == "Did you mean 'quickstart'? `loretta recipes list` shows all recipes."


@pytest.mark.parametrize("name", ["../outside", "paper/../quickstart", "paper/../../outside", "", "/outside"])
def test_a_name_never_leaves_the_folder(folder, name):
    with pytest.raises(ConfigError, match="Unknown recipe"):
        find_recipe(name)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "x" * 5000 + ".yaml"])
def test_an_impossible_path_is_an_unknown_recipe(folder, name):
    with pytest.raises(ConfigError, match="recipe"):
        find_recipe(name)


def test_a_folder_and_a_file_of_another_kind_are_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        find_recipe(str(tmp_path))
    with pytest.raises(ConfigError, match=r"not a \.yaml or \.yml file"):
        find_recipe(str(folder / "README.md"))


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("# One thing, of 2.5 GB. Another.\n# More.\n", "One thing, of 2.5 GB"),
        ("# A sentence over\n# two lines!\n", "A sentence over two lines"),
        ("# No full stop\n#\n# Not this\n", "No full stop"),
        ("training: {seed: 1} # not this\n# nor this\n", ""),
        ("", ""),
    ],
)
def test_what_a_recipe_is_about_is_the_first_sentence_of_its_head_comment(tmp_path, text, about):
    (tmp_path / "mine.yaml").write_text(text)
    assert recipe_about(tmp_path / "mine.yaml") == about


def test_a_recipe_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "mine.yaml", tmp_path / "missing.yaml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_recipe(path)


@pytest.mark.parametrize("pattern", [None, "", "*", "paper/*-adp", "ADP", "quick?tart", "[pq]*"])
def test_a_pattern_finds_names(folder, pattern):
    found = matching_recipes(pattern)
    everything = pattern in (None, "", "*", "[pq]*")
    only = "quickstart" if pattern == "quick?tart" else "paper/table2-boolq-adp"
    assert found == (["paper/table2-boolq-adp", "quickstart"] if everything else [only])


@pytest.mark.parametrize("pattern", ["paper", "p*r", "*"])
def test_a_glob_is_for_the_whole_name_and_a_word_for_a_part(folder, pattern):
    if pattern == "p*r":
        with pytest.raises(ConfigError, match="No recipe is called like"):
            matching_recipes(pattern)
    else:
        assert "paper/table2-boolq-adp" in matching_recipes(pattern)


def test_messages_call_a_shipped_recipe_by_name_and_another_by_path(folder, tmp_path):
    assert recipe_name(folder / "paper" / "table2-boolq-adp.yaml") == "paper/table2-boolq-adp"
    assert recipe_name(tmp_path / "mine.yaml") == str(tmp_path / "mine.yaml")


def test_recipes_inside_the_package_win_over_those_beside_it(tmp_path, monkeypatch):
    module = tmp_path / "loretta_cli" / "config" / "recipes.py"
    monkeypatch.setattr(recipes, "__file__", str(module))
    beside, inside = tmp_path / "recipes", tmp_path / "loretta_cli" / "recipes"
    with pytest.raises(ConfigError, match="missing from this installation"):
        recipes_folder()
    assert recipe_name(tmp_path / "mine.yaml") == str(tmp_path / "mine.yaml")
    for folder in (beside, inside):
        folder.mkdir(parents=True)
        (folder / "quickstart.yaml").write_text("training: {seed: 1}\n")
        assert recipes_folder() == folder


def test_a_setting_that_is_given_as_a_recipe_is_told_how_it_is_given():
    with pytest.raises(ConfigError) as caught:
        find_recipe("data.columns.label=mood")
    assert caught.value.hint == "Settings are given as --set data.columns.label=mood."
