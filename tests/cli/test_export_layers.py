"""``loretta export --format adapter`` and ``--format tt``: an adapter's layers for other frameworks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.command_line import Outcome, files_below, loretta

COMMON = {
    *("output", "format", "verified", "max_abs_difference", "tolerance", "engine", "unverified_because"),
    *("layers", "replaced", "quantization", "schema_version"),
}


def export(run: Path, format: str, *arguments: object) -> Outcome:
    return loretta("export", run, "--format", format, "--json", *arguments)


def lora_run(workplace: Workplace, folder: Path) -> Path:
    outcome = loretta(
        *("train", "--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences),
        *("--method", "lora", "--output", folder, *FEW_STEPS),
    )
    assert outcome.exit_code == 0, outcome.stderr
    return folder


def test_the_bottlenecks_of_adp_are_files_that_were_checked(adp_run: FinishedRun, tmp_path: Path) -> None:
    outcome = export(adp_run.path, "adapter", "--output", tmp_path / "out")

    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert set(document) == COMMON | {"parameters"}
    assert (document["format"], document["verified"], document["layers"]) == ("adapter", True, 4)
    assert document["engine"].startswith("torch ")
    assert document["max_abs_difference"] <= 1e-5
    assert document["replaced"] == ["classifier.weight", "classifier.bias"]
    assert files_below(tmp_path / "out") == ["README.md", "bottlenecks.json", "bottlenecks.safetensors"]
    said = json.loads((tmp_path / "out" / "bottlenecks.json").read_text(encoding="utf-8"))
    assert said["base_model"] == "encoder"
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "h + up(activation(down(h)))" in card
    assert "classifier.weight" in card


@pytest.mark.parametrize("method", ["adp", "rep"])
def test_the_cores_are_files_that_were_checked(
    method: str, adp_run: FinishedRun, rep_run: FinishedRun, tmp_path: Path
) -> None:
    run = adp_run if method == "adp" else rep_run

    outcome = export(run.path, "tt", "--output", tmp_path / "out")

    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert set(document) == COMMON | {"trains", "cores", "heads"}
    assert (document["format"], document["verified"]) == ("tt", True)
    assert document["engine"].startswith("TensorLy ")
    assert document["trains"] == 2 * document["layers"] == 8
    assert files_below(tmp_path / "out") == ["README.md", "cores.json", "cores.safetensors"]


def test_a_head_of_trains_is_told(paper_run: Callable[[str], FinishedRun], tmp_path: Path) -> None:
    document = export(paper_run("roberta").path, "tt", "--output", tmp_path / "out").document

    assert document["verified"] is True
    assert document["heads"] == ["classifier.dense"]
    assert "The head has trains" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_language_models_cores_leave_nothing_of_it_behind(prompt_run: FinishedRun, tmp_path: Path) -> None:
    document = export(prompt_run.path, "tt", "--output", tmp_path / "out").document

    assert (document["verified"], document["replaced"], document["heads"]) == (True, None, None)


@pytest.mark.parametrize("format", ["adapter", "tt"])
def test_a_difference_over_the_tolerance_exits_1_and_leaves_nothing(
    format: str, adp_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from loretta_cli.artifacts import comparison

    monkeypatch.setitem(comparison.RELATIVE_TOLERANCE, torch.float32, -1.0)

    outcome = export(adp_run.path, format, "--output", tmp_path / "deep" / "out")

    assert outcome.exit_code == 1
    assert outcome.document["error"]["type"] == "ExportError"
    assert not files_below(tmp_path / "deep")


def test_the_bottlenecks_of_rep_are_refused_with_what_to_do(rep_run: FinishedRun, tmp_path: Path) -> None:
    outcome = export(rep_run.path, "adapter", "--output", tmp_path / "out")

    error = outcome.document["error"]
    assert outcome.exit_code == 2
    assert error["message"].endswith("this run is rep.")
    assert "--format lora" in error["hint"]
    assert not files_below(tmp_path)


def test_a_lora_has_neither_and_what_to_do_is_told(workplace: Workplace, tmp_path: Path) -> None:
    run = lora_run(workplace, tmp_path / "run")

    cores, bottlenecks = (export(run, format, "--output", tmp_path / "out") for format in ("tt", "adapter"))

    assert (cores.exit_code, bottlenecks.exit_code) == (2, 2)
    assert "Only adp and rep have tensor trains; this run is lora." in cores.document["error"]["message"]
    assert "loretta compress" in cores.document["error"]["hint"]
    assert "has the two matrices" in bottlenecks.document["error"]["hint"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["adapter", "tt"])
def test_an_output_with_files_in_it_is_left_alone(format: str, adp_run: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x", encoding="utf-8")

    assert export(adp_run.path, format, "--output", tmp_path).exit_code == 2
    assert files_below(tmp_path) == ["thesis.txt"]
