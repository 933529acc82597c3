"""Smoke test of the benchmark of in-place training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.zo_full_memory import main
from tests.command_line import write_sentences
from tests.tiny_folders import save_tiny_decoder


def test_a_tiny_model_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_tiny_decoder(tmp_path / "model")
    write_sentences(tmp_path / "data", train=24, validation=10)
    place = ["--model", str(tmp_path / "model"), "--data", str(tmp_path / "data")]
    main([*place, "--rounds", "1", "--drift-steps", "3", "--batch-size", "4", "--json"])
    found = json.loads(capsys.readouterr().out)

    assert found["step"] >= found["forward"] > 0
    # A tiny model is smaller than a few chunks.
    assert found["over_inference"] < 1
    assert 0 < found["drift"] < 1e-5
    assert found["ratio_cpu"] > 0
