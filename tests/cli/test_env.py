"""``loretta env``: what a bug report needs, and no secret."""

from __future__ import annotations

import importlib.metadata
import json
import platform

import pytest

from loretta_cli import __version__
from tests.command_line import loretta, python

SECRET = "hf_do_not_tell"


def test_it_fits_a_screen_and_has_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("HF_TOKEN", SECRET)

    outcome = loretta("env")

    assert outcome.exit_code == 0, outcome.stderr
    lines = outcome.stdout.splitlines()
    heads = [line.split()[0] for line in lines if line[0] != " "]
    assert heads == [
        *("loretta", "python", "platform", "cpu", "memory", "torch", "gpu", "packages", "extras"),
        *("variables", "hub"),
    ]
    text = " ".join(outcome.stdout.split())
    assert f"loretta {__version__} in " in text
    for name in ("torch", "transformers", "peft", "tokenizers"):
        assert f"{name} {importlib.metadata.version(name)}" in text
    assert "CUDA_VISIBLE_DEVICES=0,1, " in text
    assert "HF_TOKEN is set" in text
    assert SECRET not in outcome.stdout
    assert max(map(len, (line for line in lines if line[0] == " "))) <= 80


def test_the_document_has_the_same_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)

    outcome = loretta("env", "--json")

    document = outcome.document
    assert outcome.exit_code == 0
    assert document["python"]["version"] == platform.python_version()
    assert document["packages"]["torch"]["version"] == importlib.metadata.version("torch")
    assert document["torch"]["error"] is None
    assert 0 < document["memory"]["free_bytes"] <= document["memory"]["total_bytes"]
    assert document["variables"]["secrets"] == ["HF_TOKEN"]
    assert document["hub"]["token"] == "variable"
    assert SECRET not in outcome.stdout


def test_what_loretta_sets_itself_is_not_told() -> None:
    told = python(
        "import os\nfor name in ('TOKENIZERS_PARALLELISM',): os.environ.pop(name, None)\n"
        "import sys\nsys.argv = ['loretta', 'env', '--json']\n"
        "from loretta_cli.cli.app import main\nmain()"
    )

    assert "TOKENIZERS_PARALLELISM" not in json.loads(told)["variables"]["values"]


def test_it_works_where_torch_does_not() -> None:
    told = python(
        "import sys\nsys.argv = ['loretta', 'env']\nfrom loretta_cli.cli.app import main\nmain()",
        blocked=["torch", "transformers"],
    )

    assert "torch      cannot be imported: " in told
    assert "gpu " not in told
    assert "hub " in told
