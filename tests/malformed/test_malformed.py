"""200 malformed inputs: exit code 1 or 2, one sentence, no traceback, no file changed."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from tests.command_line import Outcome, loretta, write_sentences
from tests.malformed.adapters import Damage, malformed_runs
from tests.malformed.data_files import malformed_data
from tests.malformed.recipes import malformed_recipes
from tests.rendering import curves_rendered_once
from tests.tiny_folders import save_tiny_encoder

RECIPES = dict(malformed_recipes())
DATA = list(malformed_data())
RUNS = dict(malformed_runs())
TRAINING = ("train", "--method", "rep", "--task", "sst2", "--set", "training.max_steps=1")
LONGEST_MESSAGE = 600


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, data, and a good run."""
    home = tmp_path_factory.mktemp("malformed")
    save_tiny_encoder(home / "encoder")
    write_sentences(home / "sentences")
    with curves_rendered_once():
        done = loretta(
            *(*TRAINING, "--model", home / "encoder", "--data", home / "sentences"),
            *("--output", home / "run"),
        )
    assert done.exit_code == 0, done.stderr
    return home


def contents(folder: Path) -> dict[str, str]:
    """Every file and folder below, with the SHA-256 of the files."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def assert_one_sentence(outcome: Outcome) -> None:
    assert outcome.exit_code in (1, 2), outcome
    assert "Traceback" not in outcome.stderr
    messages = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    assert len(messages) == 1, outcome.stderr
    assert len(messages[0]) < LONGEST_MESSAGE, messages[0]
    assert not re.search(r"\b[A-Z]\w+(Error|Exception)\b", messages[0]), "an exception's name"


def test_there_are_two_hundred() -> None:
    assert len(RECIPES) + len(DATA) + len(RUNS) >= 200


@pytest.mark.parametrize("name", RECIPES)
def test_a_malformed_recipe_is_refused(name: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(RECIPES[name])
    before = contents(tmp_path)

    outcome = loretta(
        *("train", "mine.yaml", "--model", home / "encoder", "--data", home / "sentences"), cwd=tmp_path
    )

    assert_one_sentence(outcome)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("name", "file", "content"), DATA, ids=[f"{file}-{name}" for name, file, _ in DATA])
def test_a_malformed_data_file_is_refused(
    name: str, file: str, content: bytes, home: Path, tmp_path: Path
) -> None:
    (tmp_path / file).write_bytes(content)
    before = contents(tmp_path)

    outcome = loretta(*TRAINING, "--model", home / "encoder", "--data", file, cwd=tmp_path)

    assert_one_sentence(outcome)
    assert file in outcome.stderr, "the message names the file"
    assert contents(tmp_path) == before


@pytest.mark.parametrize("damage", RUNS.values(), ids=RUNS)
def test_a_malformed_run_is_refused(damage: Damage, home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "run", tmp_path / "run")
    damage(tmp_path / "run")
    before = contents(tmp_path)

    outcome = loretta("eval", "run", cwd=tmp_path)

    assert_one_sentence(outcome)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("verb", [("merge",), ("export", "--format", "tt"), ("export", "--format", "lora")])
def test_no_verb_reads_a_pickle(verb: tuple[str, ...], home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "run", tmp_path / "run")
    RUNS["pickle instead of safetensors"](tmp_path / "run")
    before = contents(tmp_path)

    outcome = loretta(*verb, "run", "--output", "out", cwd=tmp_path)

    assert_one_sentence(outcome)
    assert "a pickle, which may run code" in outcome.stderr
    assert contents(tmp_path) == before
