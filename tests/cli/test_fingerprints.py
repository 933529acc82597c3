"""A run on another base model, a damaged adapter, a base model that is gone: refused by every verb."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.cli.refusal import assert_refused
from tests.command_line import Outcome, files_below, loretta
from tests.tiny_folders import save_tiny_encoder

Copied = Callable[[FinishedRun], Path]
VERBS = {
    "eval": ("eval", "{run}"),
    "merge": ("merge", "{run}", "--output", "{here}/out"),
    "lora": ("export", "{run}", "--format", "lora", "--output", "{here}/out"),
    "cores": ("export", "{run}", "--format", "tt", "--output", "{here}/out"),
}


@pytest.fixture(params=VERBS)
def verb(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Outcome]:
    """A command on a run that is given; no output may be left where it fails."""

    def call(run: Path, *more: object) -> Outcome:
        words = [word.format(run=run, here=tmp_path) for word in VERBS[request.param]]
        outcome = loretta(*words, *more)
        if outcome.exit_code:
            assert not [name for name in files_below(tmp_path) if name.startswith(("out", ".out"))]
        return outcome

    return call


def flip(file: Path, place: int) -> None:
    """Change one bit."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def assert_another_base(outcome: Outcome, says: str) -> None:
    assert_refused(outcome)
    assert "is not the one that the run" in outcome.stderr
    assert says in outcome.stderr


def test_a_run_records_its_base_model_and_its_adapter(rep_run: FinishedRun, workplace: Workplace) -> None:
    import hashlib

    document = json.loads((rep_run.path / "fingerprints.json").read_text(encoding="utf-8"))

    weights = workplace.encoder / "model.safetensors"
    adapter = rep_run.path / "adapter" / "adapter_model.safetensors"
    (base,) = document["base"]["files"]
    assert (base["name"], base["bytes"]) == (weights.name, weights.stat().st_size)
    assert document["base"]["dtype"] == "F32"
    assert document["adapter"]["sha256"] == hashlib.sha256(adapter.read_bytes()).hexdigest()
    assert str(workplace.folder) not in json.dumps(document)


def test_a_moved_base_model_passes_where_it_is_pointed_at(
    rep_run: FinishedRun, verb: Callable[..., Outcome], workplace: Workplace, tmp_path: Path
) -> None:
    moved = shutil.copytree(workplace.encoder, tmp_path / "moved")

    assert verb(rep_run.path, "--base", moved).exit_code == 0


def test_a_base_model_that_is_gone_is_named_with_how_to_point_at_it(
    rep_run: FinishedRun, copied: Copied, verb: Callable[..., Outcome], workplace: Workplace, tmp_path: Path
) -> None:
    run = copied(rep_run)
    config, gone = run / "config.yaml", str(tmp_path / "gone")
    config.write_text(config.read_text(encoding="utf-8").replace(str(workplace.encoder), gone), "utf-8")

    outcome = verb(run)

    assert_refused(outcome)
    assert f"is not in {gone}: nothing is there" in outcome.stderr
    assert "--base FOLDER" in outcome.stderr
    assert verb(run, "--base", workplace.encoder).exit_code == 0


@pytest.mark.parametrize("change", ["another model", "a flipped bit", "cut short"])
def test_another_base_model_is_refused(
    rep_run: FinishedRun, verb: Callable[..., Outcome], workplace: Workplace, tmp_path: Path, change: str
) -> None:
    other = tmp_path / "other"
    weights = other / "model.safetensors"
    if change == "another model":
        save_tiny_encoder(other, seed=5)
    else:
        shutil.copytree(workplace.encoder, other)
    size = weights.stat().st_size
    if change == "a flipped bit":
        flip(weights, size // 2)
    if change == "cut short":
        weights.write_bytes(weights.read_bytes()[:-100])

    outcome = verb(rep_run.path, "--base", other)

    says = f"has {size - 100:,} bytes instead of {size:,}" if change == "cut short" else "has other contents"
    assert_another_base(outcome, f"model.safetensors {says}")


@pytest.mark.parametrize("change", ["a flipped bit", "cut short"])
def test_a_damaged_adapter_is_refused_and_a_whole_copy_is_named(
    rep_run: FinishedRun, copied: Copied, verb: Callable[..., Outcome], change: str
) -> None:
    run = copied(rep_run)
    weights = run / "adapter" / "adapter_model.safetensors"
    if change == "cut short":
        weights.write_bytes(weights.read_bytes()[:-1])
    else:
        flip(weights, weights.stat().st_size - 2)

    outcome = verb(run)

    assert_refused(outcome)
    assert f"The adapter file {weights} is damaged" in outcome.stderr
    copy = run / "best" / weights.name
    assert f"{copy} is a whole copy" in outcome.stderr
    shutil.copyfile(copy, weights)
    assert verb(run).exit_code == 0


def test_other_settings_of_the_adapter_are_refused_with_the_copy_that_has_them(
    rep_run: FinishedRun, copied: Copied, verb: Callable[..., Outcome]
) -> None:
    run = copied(rep_run)
    file = run / "adapter" / "adapter_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**settings, "alpha": 3 * settings["alpha"]}), encoding="utf-8")

    outcome = verb(run)

    assert_refused(outcome)
    assert outcome.exit_code == 2
    assert f"The adapter's settings {file} are not those of the training" in outcome.stderr
    assert f"{run / 'best' / file.name} has them as they were" in outcome.stderr
    file.write_text(json.dumps({**settings, "base_model_name_or_path": "moved"}), encoding="utf-8")
    assert verb(run).exit_code == 0


def test_without_a_whole_copy_none_is_named(rep_run: FinishedRun, copied: Copied) -> None:
    run = copied(rep_run)
    for folder in ("adapter", "best"):
        flip(run / folder / "adapter_model.safetensors", -2)

    outcome = loretta("eval", run)

    assert "is damaged" in outcome.stderr
    assert "whole copy" not in outcome.stderr


def test_a_run_of_an_earlier_version_passes_with_a_note(
    rep_run: FinishedRun, copied: Copied, verb: Callable[..., Outcome]
) -> None:
    run = copied(rep_run)
    (run / "fingerprints.json").unlink()

    outcome = verb(run)

    assert outcome.exit_code == 0
    assert "no fingerprints of its base model" in outcome.stderr


def _interrupted(run: Path) -> None:
    """As if the run had been stopped before its last step was written."""
    (run / "report.json").unlink()
    shutil.rmtree(run / "checkpoints" / "checkpoint-6")


def test_a_run_is_not_resumed_on_another_base_model(
    workplace: Workplace, rep_run: FinishedRun, copied: Copied, tmp_path: Path
) -> None:
    run, base = copied(rep_run), tmp_path / "base"
    shutil.copytree(workplace.encoder, base)
    config = run / "config.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace(str(workplace.encoder), str(base)), "utf-8")
    _interrupted(run)
    flip(base / "model.safetensors", -2)

    refused = loretta("train", "--output", run, "--resume")
    flip(base / "model.safetensors", -2)
    resumed = loretta("train", "--output", run, "--resume")

    assert_another_base(refused, "has other contents")
    assert "model.name of the run's config.yaml" in refused.stderr
    assert resumed.exit_code == 0, resumed.stderr
    shutil.rmtree(base)
    _interrupted(run)
    gone = loretta("train", "--output", run, "--resume")
    assert_refused(gone)
    assert f"is not in {base}: nothing is there" in gone.stderr


def test_overwriting_a_run_replaces_its_fingerprints(workplace: Workplace, tmp_path: Path) -> None:
    other = save_tiny_encoder(tmp_path / "other", seed=3)
    rest = ("--task", "sst2", "--data", workplace.sentences, *FEW_STEPS, "--output", tmp_path / "run")
    sums = []
    for model, more in ((workplace.encoder, ()), (other, ("--overwrite",))):
        assert loretta("train", "--model", model, *rest, *more).exit_code == 0
        document = json.loads((tmp_path / "run" / "fingerprints.json").read_text(encoding="utf-8"))
        sums.append(document["base"]["files"][0]["sha256"])

    assert sums[0] != sums[1]
    assert loretta("eval", tmp_path / "run").exit_code == 0


def test_base_is_for_runs(workplace: Workplace) -> None:
    outcome = loretta("eval", "--model", workplace.encoder, "--task", "sst2", "--base", workplace.encoder)

    assert outcome.exit_code == 2
    assert "--base is for a run" in outcome.stderr
