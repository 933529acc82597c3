"""``loretta recipes``: list, show and copy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loretta_cli.config import find_recipe, shipped_recipes
from tests.command_line import loretta, python


@pytest.mark.parametrize("arguments", [(), ("--help",), ("list", "--help"), ("show", "-h"), ("copy", "-h")])
def test_help_has_an_example(arguments: tuple[str, ...]) -> None:
    outcome = loretta("recipes", *arguments)

    assert outcome.exit_code == 0
    assert "loretta recipes" in outcome.stdout
    assert outcome.stderr == ""


def test_all_recipes_are_listed_with_what_they_are_about() -> None:
    outcome = loretta("recipes", "list")

    assert outcome.exit_code == 0
    for name in shipped_recipes():
        assert f"\n{name} " in outcome.stdout
    assert "quickstart  " in outcome.stdout
    assert "tell apart eight intents of customer messages" in outcome.stdout


@pytest.mark.parametrize("pattern", ["paper/table2-*", "*Table2*", "TABLE2", "table2-"])
def test_a_glob_or_a_word_in_any_case_chooses(pattern: str) -> None:
    document = loretta("recipes", "list", pattern, "--json").document

    names = [recipe["name"] for recipe in document["recipes"]]
    assert names == [name for name in shipped_recipes() if name.startswith("paper/table2-")]
    assert names


def test_the_document_has_what_a_recipe_is_chosen_by() -> None:
    document = loretta("recipes", "list", "paper/table2-boolq-adp", "--json").document

    assert document["recipes"] == [
        {
            "name": "paper/table2-boolq-adp",
            "about": "LoRETTA Table 2: Llama-2-7B on BoolQ with LoRETTA_adp",
            "model": "meta-llama/Llama-2-7b-hf",
            "method": "adp",
            "tasks": ["boolq"],
        }
    ]


def test_a_recipe_of_several_tasks_lists_all_of_them() -> None:
    document = loretta("recipes", "list", "table4-sequential-adp", "--json").document

    assert [recipe["tasks"] for recipe in document["recipes"]] == [["sst2", "mrpc", "qnli"]]


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("paper/tabel2-*", "'paper/table2'"),
        ("paper/table2-*-xyz", "'paper/table2'? "),
        ("bolq", "'boolq'"),
        ("quickstrat", "'quickstart'"),
    ],
)
def test_a_pattern_that_finds_nothing_gets_the_nearest_names(pattern: str, near: str) -> None:
    outcome = loretta("recipes", "list", pattern)

    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert f"No recipe is called like {pattern!r}." in outcome.stderr
    assert f"Did you mean {near}" in outcome.stderr
    assert "`loretta recipes list` shows all recipes." in outcome.stderr


def test_a_recipe_is_shown_as_it_stands_in_its_file() -> None:
    outcome = loretta("recipes", "show", "quickstart")

    assert outcome.exit_code == 0
    assert outcome.stdout == find_recipe("quickstart").read_text(encoding="utf-8")


def test_the_settings_of_a_recipe_are_shown_as_a_document() -> None:
    document = loretta("recipes", "show", "quickstart", "--json").document

    assert document["name"] == "quickstart"
    assert document["settings"]["model"] == {"name": "bundled:minilm"}
    assert document["settings"]["training"]["epochs"] == 10
    assert "output" not in document["settings"]


@pytest.mark.parametrize("verb", ["show", "copy"])
def test_an_unknown_name_gets_the_nearest_ones(verb: str, tmp_path: Path) -> None:
    outcome = loretta("recipes", verb, "paper/table2-bolq-adp", cwd=tmp_path)

    assert outcome.exit_code == 2
    assert "Did you mean 'paper/table2-boolq-adp'" in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_copy_gets_the_last_part_of_the_name_and_the_next_command(tmp_path: Path) -> None:
    outcome = loretta("recipes", "copy", "paper/table2-boolq-adp", cwd=tmp_path)

    copied = tmp_path / "table2-boolq-adp.yaml"
    assert outcome.exit_code == 0
    assert copied.read_bytes() == find_recipe("paper/table2-boolq-adp").read_bytes()
    assert "loretta train ./table2-boolq-adp.yaml" in outcome.stdout
    assert list(tmp_path.iterdir()) == [copied]


def test_the_next_command_can_be_copied_whatever_the_name(tmp_path: Path) -> None:
    outcome = loretta("recipes", "copy", "quickstart", "my runs/first try.yaml", cwd=tmp_path)

    assert outcome.exit_code == 0
    assert "loretta train './my runs/first try.yaml'" in outcome.stdout
    assert (tmp_path / "my runs" / "first try.yaml").is_file()


def test_a_copy_into_a_folder_keeps_its_name(tmp_path: Path) -> None:
    document = loretta("recipes", "copy", "quickstart", tmp_path, "--json").document

    assert document["recipe"] == "quickstart"
    assert document["output"] == str(tmp_path / "quickstart.yaml")
    assert (tmp_path / "quickstart.yaml").is_file()


def test_a_file_is_replaced_only_if_asked(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("training: {seed: 7}\n", encoding="utf-8")

    refused = loretta("recipes", "copy", "quickstart", mine)
    kept = mine.read_text(encoding="utf-8")
    replaced = loretta("recipes", "copy", "quickstart", mine, "--overwrite")

    assert refused.exit_code == 2
    assert f"The file {mine} exists." in refused.stderr
    assert "--overwrite" in refused.stderr
    assert kept == "training: {seed: 7}\n"
    assert replaced.exit_code == 0
    assert mine.read_bytes() == find_recipe("quickstart").read_bytes()
    assert list(tmp_path.iterdir()) == [mine]


def test_a_copy_that_train_would_not_take_is_refused(tmp_path: Path) -> None:
    outcome = loretta("recipes", "copy", "quickstart", "mine", cwd=tmp_path)

    assert outcome.exit_code == 2
    assert "A recipe's name ends in .yaml, found 'mine'." in outcome.stderr
    assert "Write mine.yaml." in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")

    outcome = loretta("recipes", "copy", "quickstart", tmp_path / "file" / "mine.yaml")

    assert outcome.exit_code == 2
    assert "cannot be written" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_copied_recipe_loads_as_the_shipped_one_does(tmp_path: Path) -> None:
    loretta("recipes", "copy", "quickstart", cwd=tmp_path)

    shipped = loretta("recipes", "show", "quickstart", "--json").document
    copied = loretta("recipes", "show", tmp_path / "quickstart.yaml", "--json").document

    assert copied["settings"] == shipped["settings"]


RUN_THEM = """
import contextlib, io, json, sys
from loretta_cli.cli.app import main
for arguments in (["list"], ["list", "--json"], ["show", "quickstart", "--json"], ["copy", "quickstart"]):
    sys.argv = ["loretta", "recipes", *arguments]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            assert not end.code, arguments
print(json.dumps([name for name in ("torch", "transformers", "datasets", "peft") if name in sys.modules]))
"""


def test_listing_showing_and_copying_import_nothing_heavy(tmp_path: Path) -> None:
    assert json.loads(python(RUN_THEM, cwd=tmp_path)) == []
