"""Wrong use of the verbs behind ``train``, and runs that are damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FinishedRun, Workplace
from tests.cli.refusal import assert_refused
from tests.command_line import files_below, loretta

RUN_MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "eval: nothing": (("eval",), "one of them"),
    "eval: run and model": (("eval", "{run}", "--model", "x"), "one of them"),
    "eval: no such run": (("eval", "./no-such-run"), "There is no run folder"),
    "eval: not a run": (("eval", "{here}"), "it has no config.yaml"),
    "eval: the adapter folder": (("eval", "{run}/adapter"), "not the adapter in it"),
    "eval: unknown split": (("eval", "{run}", "--split", "dev"), "train, validation, test"),
    "eval: split that is not there": (("eval", "{run}", "--split", "test"), "no test file"),
    "eval: zero rows": (("eval", "{run}", "--rows", "0"), "--rows"),
    "eval: task for a run": (("eval", "{run}", "--task", "sst2"), "its own task"),
    "eval: settings for a run": (("eval", "{run}", "--set", "training.seed=1"), "its own settings"),
    "eval: setting of a training": (
        ("eval", "--model", "{encoder}", "--task", "sst2", "--set", "training.epochs=3"),
        "eval does not read training.epochs",
    ),
    "eval: model without task": (("eval", "--model", "{encoder}"), "needs one --task"),
    "eval: unknown task": (("eval", "--model", "{encoder}", "--task", "sst22"), "Did you mean 'sst2'?"),
    "eval: missing data": (("eval", "{run}", "--data", "./no-such.csv"), "no such file or folder"),
    "merge: no such run": (("merge", "./no-such-run"), "There is no run folder"),
    "merge: adp": (("merge", "{adp}"), "An adp adapter cannot be merged"),
    "merge: output is taken": (("merge", "{run}", "--output", "{run}"), "exists and is not empty"),
    "export: unknown format": (("export", "{run}", "--format", "loar"), "Did you mean 'lora'?"),
    "export: no format": (("export", "{run}"), "--format"),
    "export: adp": (("export", "{adp}", "--format", "lora"), "Only rep exports as LoRA"),
    "export: output is taken": (
        ("export", "{run}", "--format", "lora", "--output", "{run}"),
        "exists and is not empty",
    ),
    "count: no model": (("count-params",), "No model is given"),
    "count: unknown method": (("count-params", "--model", "llama-2-7b", "--method", "lora2"), "'lora'"),
    "count: unknown model": (("count-params", "--model", "llama-2-8b"), "llama-2-8b"),
    "count: one label": (("count-params", "--model", "{encoder}", "--labels", "1"), "--labels"),
    "count: setting of no method": (
        ("count-params", "--model", "{encoder}", "--set", "adapter.placement=mlp"),
        "adapter.placement",
    ),
    "count: paper preset on an unknown family": (
        ("count-params", "--model", "{unknown}", "--preset", "paper"),
        "'paper' is defined for the model families of the paper only",
    ),
    "no such command": (("trian",), "trian"),
}


@pytest.fixture(scope="session")
def unknown(workplace: Workplace) -> Path:
    from tests.tiny_models import UNKNOWN, tiny_config

    folder = workplace.folder / UNKNOWN
    tiny_config(UNKNOWN).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("json_flag", [(), ("--json",)], ids=["plain", "json"])
@pytest.mark.parametrize(("arguments", "says"), RUN_MISTAKES.values(), ids=RUN_MISTAKES)
def test_a_mistake_with_the_other_verbs_is_refused(
    arguments: tuple[str, ...],
    says: str,
    json_flag: tuple[str, ...],
    rep_run: FinishedRun,
    adp_run: FinishedRun,
    workplace: Workplace,
    unknown: Path,
    tmp_path: Path,
) -> None:
    places = {"run": rep_run.path, "adp": adp_run.path, "encoder": workplace.encoder, "unknown": unknown}
    filled = [argument.format(here=tmp_path, **places) for argument in arguments]
    before = files_below(workplace.folder)

    outcome = loretta(*filled, *json_flag, cwd=tmp_path)

    assert outcome.exit_code == 2
    assert "Traceback" not in outcome.stderr
    if json_flag:
        error = outcome.document["error"]
        assert says in f"{error['message']} {error['hint']}"
    else:
        assert outcome.stdout == ""
        assert says in " ".join(outcome.stderr.replace("│", " ").split())
    assert not files_below(tmp_path)
    assert files_below(workplace.folder) == before


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("config.yaml", b"training: {sed: 1}\n"),
        ("config.yaml", b"\xff\xfe"),
        ("adapter/adapter_config.json", b"{"),
        ("adapter/adapter_model.safetensors", b"torn"),
    ],
)
@pytest.mark.parametrize("verb", ["eval", "merge", "export"])
def test_a_damaged_run_is_one_sentence(
    verb: str,
    file: str,
    damage: bytes,
    rep_run: FinishedRun,
    copied: Callable[[FinishedRun], Path],
    tmp_path: Path,
) -> None:
    run = copied(rep_run)
    (run / file).write_bytes(damage)
    before = files_below(tmp_path)

    outcome = loretta(verb, run, *(("--format", "lora") if verb == "export" else ()))

    assert_refused(outcome)
    assert str(run) in outcome.stderr
    assert files_below(tmp_path) == before


def test_a_finished_run_without_its_adapters_settings_is_told_of_the_copy(
    rep_run: FinishedRun, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(rep_run)
    (run / "adapter" / "adapter_config.json").unlink()

    outcome = loretta("eval", run)

    assert_refused(outcome)
    assert f"{run / 'best'} is a copy" in outcome.stderr


def test_a_run_without_its_adapter_says_how_to_finish_it(
    rep_run: FinishedRun, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(rep_run)
    (run / "report.json").unlink()
    (run / "adapter" / "adapter_config.json").unlink()

    outcome = loretta("eval", run)

    assert_refused(outcome)
    assert f"loretta train --output {run} --resume" in outcome.stderr


def test_a_damaged_report_of_a_finished_run_is_one_sentence(
    rep_run: FinishedRun, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(rep_run)
    (run / "report.json").write_text("{", encoding="utf-8")

    outcome = loretta("train", "--output", run, "--resume", "--json")

    assert outcome.exit_code == 2
    assert "report.json" in json.loads(outcome.stdout)["error"]["message"]
