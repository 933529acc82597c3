"""README says what is true: its commands parse, its settings exist, its counts are the ones we count."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from loretta_cli.cli.app import app
from loretta_cli.config import find_recipe, load_config
from tests.command_line import parsed

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL_LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines() if line
]
COMMANDS = [line.rpartition("&& ")[2] for line in SHELL_LINES if "loretta " in line.rpartition("&& ")[2]]
LAUNCHED = [line.rpartition("-m loretta_cli ")[2] for line in SHELL_LINES if "-m loretta_cli " in line]
"""What torchrun and ``accelerate launch`` are told to run."""
COMMANDS += [f"loretta {arguments}" for arguments in LAUNCHED]


def test_readme_shows_every_verb() -> None:
    shown = {parsed(line)[0] for line in COMMANDS}

    assert shown == {command.name or command.callback.__name__ for command in app.registered_commands} | {
        group.name for group in app.registered_groups
    }


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_readme_parses_and_its_settings_exist(line: str) -> None:
    name, parameters = parsed(line)

    if name in ("train", "count-params"):
        recipe = parameters["recipe"]
        overrides = parameters["overrides"] or ()
        loaded = load_config(find_recipe(recipe) if isinstance(recipe, str) else None, {}, tuple(overrides))
        assert loaded.config is not None


def test_a_misspelt_flag_would_be_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        parsed("loretta train --metod rep")


def test_the_extras_of_the_setup_commands_exist() -> None:
    extras = set(re.findall(r"\.\[([a-z,-]+)\]", README))
    defined = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]

    assert extras == {"quickstart", "quickstart,test,test-export"}
    assert {name for extra in extras for name in extra.split(",")} <= set(defined)


def test_ci_installs_and_tests_as_readme_says() -> None:
    setup = next(line for line in SHELL_LINES if "pytest" in line)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace("pip install -q", "pip install")

    assert setup.removesuffix(" && pytest") in script
    assert "\npytest" in script


def test_python_blocks_of_readme_compile() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


def test_the_counts_of_readme_sum_up() -> None:
    rows = re.findall(r"^\| (\S+) \| (adp|rep) \| \S+M \| (.*) \|$", README, re.MULTILINE)

    assert len(rows) == 8
    for _, _, cells in rows:
        total, *parts = (int(cell.replace(",", "")) for cell in cells.split(" | "))
        assert total == sum(parts)
