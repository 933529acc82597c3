"""``loretta check-gradient`` on tiny models."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import Outcome, loretta, write_sentences

GOOD = 1e-3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_folders import save_tiny_encoder

    folder = tmp_path_factory.mktemp("check")
    save_tiny_encoder(folder / "encoder")
    write_sentences(folder / "sentences")
    return folder


def common(place: Path, *settings: str, method: str = "adp") -> list[object]:
    return [
        *("--model", place / "encoder", "--method", method, "--task", "sst2"),
        *("--data", place / "sentences", "--set", "data.protocol=paper"),
        *(part for setting in settings for part in ("--set", setting)),
    ]


def check(place: Path, *arguments: str, method: str = "adp", settings: tuple[str, ...] = ()) -> Outcome:
    return loretta("check-gradient", *common(place, *settings, method=method), *arguments)


@pytest.fixture(scope="module")
def document(place: Path) -> dict[str, Any]:
    outcome = check(place, "--json", "--batches", "1", "--directions", "6")
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.document


def test_the_document_holds_both_dtypes_and_the_grid(document: dict[str, Any]) -> None:
    assert document["schema_version"] == 1
    assert [found["dtype"] for found in document["dtypes"]] == ["float32", "bfloat16"]
    assert document["directions"] == 6
    size = document["parameters"]
    assert document["theory"]["cosine"] == pytest.approx(math.sqrt(6 / (6 + size + 1)))
    for found in document["dtypes"]:
        assert [one["eps"] for one in found["checks"]][:3] == [1e-4, 3e-4, 1e-3]


def test_in_fp32_slopes_are_exact_and_in_bf16_small_eps_are_noise(document: dict[str, Any]) -> None:
    exact, half = ({one["eps"]: one for one in found["checks"]} for found in document["dtypes"])

    assert exact[GOOD]["relative_error"] < 0.02
    assert exact[GOOD]["is_good"]
    assert half[1e-4]["relative_error"] > 0.5
    assert not half[1e-4]["is_good"]


def test_what_a_run_would_measure_is_good(document: dict[str, Any]) -> None:
    for found in document["dtypes"]:
        assert found["is_good"]
        assert found["calibrated_is_good"]


def test_a_training_measures_the_same_eps(place: Path, document: dict[str, Any], tmp_path: Path) -> None:
    settings = common(place, "training.max_steps=1")
    outcome = loretta("train", *settings, "--gradient", "zo", "--output", tmp_path / "run")
    assert outcome.exit_code == 0, outcome.stderr

    (header, *_) = (tmp_path / "run" / "trajectory.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(header)["header"]["eps"] == document["dtypes"][0]["calibrated"]


@pytest.mark.parametrize("method", ["rep", "lora"])
def test_the_table_shows_the_runs_own_eps_and_says_which_to_use(method: str, place: Path) -> None:
    settings = ("zo.epsilon=0.002", "zo.estimator=one-sided", "model.dtype=float32")
    outcome = check(place, "--batches", "2", "--directions", "3", method=method, settings=settings)

    assert outcome.exit_code == 0, outcome.stderr
    assert "0.002" in outcome.stdout
    assert "zo.epsilon" in outcome.stdout
    assert "float32: use zo.epsilon=" in outcome.stdout
    assert "the run's own, 0.002, is good" in outcome.stdout
    assert "theory" in outcome.stdout


@pytest.mark.parametrize(
    ("arguments", "settings", "method", "words"),
    [
        ((), ("training.objective=accuracy",), "adp", "has no exact gradient"),
        ((), (), "full", "several copies"),
        (("--directions", "1"), (), "adp", "--directions is 1"),
        (("--batches", "0"), (), "adp", "--batches is 0"),
        (("--batches", "99"), (), "adp", "--batches is 99"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    arguments: tuple[str, ...], settings: tuple[str, ...], method: str, words: str, place: Path
) -> None:
    outcome = check(place, *arguments, "--json", method=method, settings=settings)

    assert outcome.exit_code == 2
    assert words in outcome.document["error"]["message"]
