"""The benchmark of a merge's memory, on a small model: what merging holds stays below its files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from benchmarks import merge_memory


@pytest.mark.slow
def test_the_peak_is_measured_in_processes_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--folder", str(tmp_path / "new"), "--hidden", "256"]

    merge_memory.main([*place, "--megabytes", "120", "--files", "2", "--json"])

    found = json.loads(capsys.readouterr().out)
    assert found["files"] == 2
    assert 90e6 < found["model"] < 150e6
    assert found["above"] == found["merge_peak"] - found["base_peak"]
    assert found["share_of_file"] <= merge_memory.LIMIT
    assert found["holds"] is True
    assert found["max_abs_layer_difference"] < 1e-3


@pytest.mark.parametrize(("above", "fails"), [(120, False), (121, True)])
def test_more_than_the_limit_is_a_failure(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    above: int,
    fails: bool,
) -> None:
    found = merge_memory.Result(400, 4, 100, 500, 500 + above, above, above / 100, 1.0, 1e-6)
    monkeypatch.setattr(merge_memory, "measure", lambda *_, **__: found)

    with pytest.raises(SystemExit, match=r"^1$") if fails else contextlib.nullcontext():
        merge_memory.main(["--folder", str(tmp_path / "new")])

    assert f"{above / 100:.2f} of that file (limit 1.2)" in capsys.readouterr().out


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(SystemExit, match="is not empty"):
        merge_memory.main(["--folder", str(tmp_path)])
