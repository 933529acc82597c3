"""The benchmark of option ranking on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import option_ranking
from tests.command_line import write_sentences
from tests.tiny_folders import save_tiny_decoder


@pytest.mark.parametrize("options", ["[terrible,great]", "[really terrible,great]"])
def test_both_ways_are_timed_and_compared(
    options: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_tiny_decoder(tmp_path / "model")
    write_sentences(tmp_path / "data", train=4, validation=10)
    command = ["--model", str(model), "--task", "sst2", "--data", str(tmp_path / "data"), "--rows", "9"]

    option_ranking.main([*command, "--batch-size", "4", "--set", f"task.options={options}", "--json"])

    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["options"]) == (9, 18)
    assert found["ratio"] > 0
    assert 0 <= found["max_abs_difference"] < 1e-4
