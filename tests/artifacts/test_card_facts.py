"""What a model card says of versions and licence."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.artifacts.card_facts import base_licence, made_with, public_name
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.models.source import ModelSource


def licence_of(folder: Path) -> str | None:
    """The licence that a local base model's card names."""
    return base_licence(ModelSource("x", str(folder), is_local=True), None)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# A model\n", "apache-2.0"),
        ("---\nlanguage: en\nlicense: 'mit'\n---\n", "mit"),
        ("---\nlanguage: en\n---\nlicense: mit\n", None),
        ("# A model\nlicense: mit\n", None),
        ("---\nlicense: [a, b]\n---\n", None),
        ("", None),
    ],
)
def test_the_licence_is_that_in_the_head_of_the_base_models_card(
    tmp_path: Path, card: str, licence: str | None
) -> None:
    (tmp_path / "README.md").write_text(card, encoding="utf-8")

    assert licence_of(tmp_path) == licence


def test_a_base_model_without_a_readable_card_has_no_known_licence(tmp_path: Path) -> None:
    assert licence_of(tmp_path) is None
    (tmp_path / "README.md").write_bytes(b"---\nlicense: \xff\n---\n")
    assert licence_of(tmp_path) is None


def test_the_card_of_a_gguf_file_lies_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")

    assert base_licence(ModelSource("x", str(file), is_local=True, gguf_file=file.name), None) == "mit"


def test_a_model_of_the_hub_that_is_not_on_this_machine_has_no_known_licence() -> None:
    assert base_licence(ModelSource("nobody/nothing", "nobody/nothing", is_local=False), None) is None


def test_versions_are_told_as_far_as_they_are_recorded(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert made_with(run) == ""
    run.environment_file.write_text(
        '{"python": "3.12", "packages": {"torch": "2.13", "peft": null}, "gpus": ["H100", "H100"]}',
        encoding="utf-8",
    )

    assert made_with(run) == "Made with Python 3.12, torch 2.13, on H100."


def test_a_name_has_no_folder_of_this_machine() -> None:
    assert public_name("/home/me/models/mine") == "mine"
    assert public_name("org/mine") == "org/mine"
