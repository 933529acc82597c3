"""``loretta merge``: a plain transformers model that gives what base and adapter gave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loretta_cli.artifacts.merging.refusals import REFUSALS
from loretta_cli.methods import MERGED, METHODS
from tests.cli.conftest import FinishedRun
from tests.cli.logits import assert_close, plain_transformers, run_logits
from tests.command_line import files_below, loretta

KEYS = {
    *("output", "max_abs_logit_difference", "verified", "tolerance", "rows", "dequantized", "task"),
    *("verification", "max_abs_layer_difference", "layers", "dtype", "lost_share", "streamed"),
    "schema_version",
}


def test_merged_models_need_transformers_only_and_agree(
    rep_run: FinishedRun,
    prompt_run: FinishedRun,
    paper_run: Callable[[str], FinishedRun],
    tmp_path: Path,
) -> None:
    runs = [rep_run, paper_run("roberta"), paper_run("deberta"), prompt_run]
    places = [tmp_path / str(number) for number in range(len(runs))]
    for run, place in zip(runs, places, strict=True):
        outcome = loretta("merge", run.path, "--output", place, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        document = outcome.document
        assert set(document) == KEYS
        assert document["output"] == str(place)
        assert document["verified"] is True
        assert document["max_abs_logit_difference"] <= 1e-4
        assert document["verification"] == "logits"
        assert document["max_abs_layer_difference"] is None
        assert document["streamed"] is True
        assert document["dtype"] == "float32"
        assert document["lost_share"] is None

    kinds = ("classifier", "classifier", "classifier", "causal")
    plain = plain_transformers(list(zip(places, kinds, strict=True)))

    for logits, run in zip(plain, runs, strict=True):
        assert_close(logits, run_logits(run.path))


def test_a_merged_folder_has_weights_tokenizer_and_card_and_nothing_else(
    rep_run: FinishedRun, tmp_path: Path
) -> None:
    loretta("merge", rep_run.path, "--output", tmp_path / "merged")

    assert files_below(tmp_path) == [
        "merged",
        "merged/README.md",
        "merged/config.json",
        "merged/model.safetensors",
        "merged/tokenizer.json",
        "merged/tokenizer_config.json",
    ]
    card = (tmp_path / "merged" / "README.md").read_text(encoding="utf-8")
    assert "base_model: encoder" in card
    assert "10 validation rows" in card
    config = json.loads((tmp_path / "merged" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "negative", "1": "positive"}


def test_the_difference_is_printed_and_progress_goes_to_stderr(rep_run: FinishedRun, tmp_path: Path) -> None:
    outcome = loretta("merge", rep_run.path, "--output", tmp_path / "merged")

    assert "largest logit difference" in outcome.stdout
    assert "comparing" in outcome.stderr
    assert "comparing" not in outcome.stdout


def test_without_output_the_model_goes_into_the_run(
    rep_run: FinishedRun, copied: Callable[[FinishedRun], Path]
) -> None:
    run = copied(rep_run)

    assert loretta("merge", run).exit_code == 0
    assert (run / "merged" / "config.json").is_file()
    again = loretta("merge", run)
    assert again.exit_code == 2
    assert "exists and is not empty" in again.stderr


def test_adp_is_refused_with_the_reason(adp_run: FinishedRun, tmp_path: Path) -> None:
    outcome = loretta("merge", adp_run.path, "--output", tmp_path / "merged", "--json")

    assert outcome.exit_code == 2
    assert "nonlinearity" in outcome.document["error"]["message"]
    assert "--method rep" in outcome.document["error"]["hint"]
    assert not files_below(tmp_path)


def test_a_difference_over_the_tolerance_exits_1_and_leaves_nothing(
    rep_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from loretta_cli.artifacts import comparison

    monkeypatch.setitem(comparison.RELATIVE_TOLERANCE, torch.float32, -1.0)

    outcome = loretta("merge", rep_run.path, "--output", tmp_path / "merged", "--json")

    assert outcome.exit_code == 1
    assert outcome.document["error"]["type"] == "ExportError"
    assert "nothing was written" in outcome.document["error"]["message"]
    assert not files_below(tmp_path)


def test_a_wrong_merge_is_noticed(
    rep_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from loretta_cli.tuners.rep.layer import RepLayer

    right = RepLayer.get_delta_weight

    def wrong(layer: RepLayer, adapter: str) -> torch.Tensor:
        return right(layer, adapter) * 1.5

    monkeypatch.setattr(RepLayer, "get_delta_weight", wrong)

    outcome = loretta("merge", rep_run.path, "--output", tmp_path / "merged")

    assert outcome.exit_code == 1
    assert not files_below(tmp_path)


def test_rows_to_compare_on_may_be_given(rep_run: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("sentence,label\nthe film,1\nthe plot,0\n", encoding="utf-8")

    document = loretta(
        "merge", rep_run.path, "--output", tmp_path / "merged", "--data", tmp_path / "few.csv", "--json"
    ).document

    assert document["rows"] == 2


def test_a_bfloat16_run_merges_within_its_own_tolerance(
    rep_run: FinishedRun, copied: Callable[[FinishedRun], Path], tmp_path: Path
) -> None:
    run = copied(rep_run)
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config.replace("dtype: auto", "dtype: bfloat16"), encoding="utf-8")

    document = loretta("merge", run, "--output", tmp_path / "merged", "--json").document

    assert document["verified"] is True
    written = json.loads((tmp_path / "merged" / "config.json").read_text(encoding="utf-8"))
    assert written["dtype"] == "bfloat16"


def test_each_method_merges_or_has_a_reason_not_to_and_the_help_names_those_that_do() -> None:
    assert set(METHODS) == {*MERGED, *REFUSALS}
    assert not set(MERGED) & set(REFUSALS)
    said = " ".join(loretta("merge", "--help").stdout.split())
    assert all(method in said for method in MERGED)


def test_a_run_of_one_task_has_no_word_on_heads(rep_run: FinishedRun, tmp_path: Path) -> None:
    assert "head" not in loretta("merge", rep_run.path, "--output", tmp_path / "merged").stdout
