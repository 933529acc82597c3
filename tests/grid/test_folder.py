"""The folder of a comparison: states of cells, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loretta_cli.config import load_config
from loretta_cli.errors import OutputError, TrainingError
from loretta_cli.grid.axes import Axes
from loretta_cli.grid.folder import GridFolder
from tests.grid.fake_runs import cells_of, finish

ONE = Axes(methods=("rep",), tasks=("sst2",))


def test_a_cell_waits_is_begun_and_finished(tmp_path: Path) -> None:
    folder, (cell,) = GridFolder(tmp_path), cells_of(ONE)
    states = [folder.state(cell)]
    folder.start(cell)
    states.append(folder.state(cell))
    folder.run(cell).path.mkdir()
    folder.run(cell).config_file.write_text("training: {seed: 0}\n", encoding="utf-8")
    states.append(folder.state(cell))
    folder.run(cell).report_file.write_text("{}", encoding="utf-8")
    states.append(folder.state(cell))

    assert states == ["waiting", "waiting", "unfinished", "finished"]


def test_what_was_asked_is_a_recipe_that_says_no_more_than_was_asked(tmp_path: Path) -> None:
    folder, (cell,) = GridFolder(tmp_path), cells_of(ONE, "training.epochs=3")
    folder.start(cell)

    loaded = load_config(folder.asked_file(cell))

    assert loaded.config == cell.config
    assert set(loaded.origins) == {"model.name", "adapter.method", "task.name", "training.epochs"}


@pytest.mark.parametrize("changed", ["training.epochs=4", "adapter.tt_rank=2"])
def test_other_settings_than_before_are_seen_even_where_the_old_ones_were_left_out(
    tmp_path: Path, changed: str
) -> None:
    folder, (plain,), (other,) = GridFolder(tmp_path), cells_of(ONE), cells_of(ONE, changed)
    finish(folder, other, 0.8)

    assert (folder.state(other), folder.state(plain)) == ("finished", "differs")
    with pytest.raises(OutputError, match=changed.replace("=", " was ") + ", is unset") as caught:
        folder.check([plain], overwrite=False)
    assert "--overwrite" in caught.value.hint
    folder.check([plain], overwrite=True)


def test_a_run_that_is_replaced_is_gone_before_the_new_settings_stand_there(tmp_path: Path) -> None:
    folder, (plain,), (other,) = GridFolder(tmp_path), cells_of(ONE), cells_of(ONE, "training.epochs=4")
    finish(folder, plain, 0.8)

    folder.start(other)

    assert folder.state(other) == "waiting"
    assert not list(folder.run(other).path.iterdir())


def test_a_run_of_unknown_origin_is_not_taken_for_a_cell(tmp_path: Path) -> None:
    folder, (cell,) = GridFolder(tmp_path), cells_of(ONE)
    finish(folder, cell, 0.8)
    folder.asked_file(cell).unlink()

    with pytest.raises(OutputError, match="what was asked of it is not known"):
        folder.check([cell], overwrite=False)


def test_a_failure_is_told_in_one_line_and_forgotten_by_the_next_start(tmp_path: Path) -> None:
    folder, (cell,) = GridFolder(tmp_path), cells_of(ONE)
    folder.start(cell)
    told = folder.fail(cell, TrainingError("The loss is nan\nat step 3.", hint="Lower it."))

    assert told == folder.failure(cell) == "The loss is nan at step 3."
    assert json.loads(folder.failure_file(cell).read_text(encoding="utf-8"))["hint"] == "Lower it."
    assert folder.state(cell) == "failed"
    folder.start(cell)
    assert folder.state(cell) == "waiting"


def test_a_bug_is_kept_with_its_traceback(tmp_path: Path) -> None:
    folder, (cell,) = GridFolder(tmp_path), cells_of(ONE)
    folder.start(cell)

    assert folder.fail(cell, ValueError("no")) == "ValueError: no"
    assert "traceback" in json.loads(folder.failure_file(cell).read_text(encoding="utf-8"))
    folder.failure_file(cell).write_text("", encoding="utf-8")
    assert "cannot be read" in folder.failure(cell)


def test_a_failure_of_other_settings_does_not_stand_in_the_way(tmp_path: Path) -> None:
    folder, (cell,), (mended,) = GridFolder(tmp_path), cells_of(ONE), cells_of(ONE, "training.epochs=4")
    folder.start(cell)
    folder.fail(cell, ValueError("no"))

    folder.check([mended], overwrite=False)
    assert folder.state(mended) == "waiting"


def test_a_file_and_a_folder_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x", encoding="utf-8")

    with pytest.raises(OutputError, match="holds no comparison"):
        GridFolder(tmp_path).check([], overwrite=False)
    with pytest.raises(OutputError, match="is a file"):
        GridFolder(tmp_path / "thesis.txt").check([], overwrite=False)
