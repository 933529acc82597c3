"""The run folder: its names, making one, finding one, and what is said of a folder that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.artifacts import files
from loretta_cli.artifacts.run_folder import RunFolder, check_free, choose_folder, create_run, find_run
from loretta_cli.config import Config
from loretta_cli.errors import LorettaError, OutputError, RunError
from tests.run_folders import write_unfinished

CONFIG = Config.model_validate({"model": {"name": "org/name"}, "training": {"seed": 7}})
OTHER = Config.model_validate({"model": {"name": "org/other"}})


def finished_run(path: Path) -> RunFolder:
    run = create_run(path, CONFIG, overwrite=False)
    run.adapter.mkdir()
    (run.adapter / "adapter_config.json").write_text("{}")
    run.report_file.write_text('{"steps": 3}')
    return run


def refused(path: Path, *, overwrite: bool = False) -> OutputError:
    with pytest.raises(OutputError) as caught:
        check_free(path, overwrite=overwrite)
    assert caught.value.hint
    return caught.value


def test_the_names_in_a_run_folder_are_the_contract() -> None:
    run = RunFolder(Path("r"))
    assert [
        str(path.relative_to("r"))
        for path in (
            run.config_file,
            run.environment_file,
            run.metrics_file,
            run.metrics_table,
            run.curves,
            run.adapter,
            run.best,
            run.checkpoints,
            run.card,
            run.report_file,
        )
    ] == [
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "metrics.csv",
        "curves.png",
        "adapter",
        "best",
        "checkpoints",
        "README.md",
        "report.json",
    ]


def test_a_new_run_holds_its_config(tmp_path: Path) -> None:
    run = create_run(tmp_path / "deep" / "run", CONFIG, overwrite=False)
    assert run.read_config() == CONFIG
    assert not run.finished
    assert [path.name for path in run.path.iterdir()] == ["config.yaml"]


def test_an_empty_folder_can_become_a_run(tmp_path: Path) -> None:
    check_free(tmp_path, overwrite=False)
    assert create_run(tmp_path, CONFIG, overwrite=False).read_config() == CONFIG


def test_a_run_is_not_written_over_unasked(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    error = refused(run.path)
    assert error.message == f"The output folder {run.path} exists and is not empty."
    assert "--resume" in error.hint
    assert "--overwrite" in error.hint
    with pytest.raises(OutputError):
        create_run(run.path, OTHER, overwrite=False)
    assert run.read_config() == CONFIG
    assert run.finished


def test_overwrite_starts_a_run_anew(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    create_run(run.path, OTHER, overwrite=True)
    assert run.read_config() == OTHER
    assert [path.name for path in run.path.iterdir()] == ["config.yaml"]


def test_other_folders_are_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    error = refused(tmp_path)
    assert "--overwrite" not in error.hint
    error = refused(tmp_path, overwrite=True)
    assert error.message.startswith("--overwrite replaces runs only")
    with pytest.raises(OutputError):
        create_run(tmp_path, CONFIG, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_refused(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "run").write_text("")
    assert "run is a file; expected a folder" in refused(tmp_path / "run", overwrite=overwrite).message
    assert "is a file" in refused(tmp_path / "run" / "below", overwrite=overwrite).message


def test_a_place_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "access", lambda path, mode: Path(path) != tmp_path)
    assert f"no permission to write in {tmp_path}." in refused(tmp_path / "runs" / "new").message


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    assert "File name too long" in refused(tmp_path / ("x" * 300)).message


def test_a_finished_run_is_found_and_read(tmp_path: Path) -> None:
    run = find_run(finished_run(tmp_path / "run").path)
    assert run.finished
    assert run.read_report() == {"steps": 3}
    assert run.read_config() == CONFIG


@pytest.mark.parametrize(
    ("missing", "message", "hint"),
    [
        (".", "There is no run folder", "loretta train"),
        ("config.yaml", "has no config.yaml", "not the adapter in it"),
        ("adapter/adapter_config.json", "has no finished adapter", "--resume"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, missing: str, message: str, hint: str) -> None:
    run = finished_run(tmp_path / "run")
    if missing == ".":
        run.path.rename(tmp_path / "moved")
    else:
        (run.path / missing).unlink()
    with pytest.raises(RunError, match=message) as caught:
        find_run(run.path)
    assert str(run.path) in caught.value.message
    assert hint in caught.value.hint


def test_a_merged_model_in_place_of_a_run_is_told_how_it_is_evaluated(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match="it has no config") as caught:
        find_run(tmp_path)
    assert f"loretta eval --model {tmp_path} --task NAME" in caught.value.hint


@pytest.mark.parametrize("content", [None, "", "{", "[1]", b"\xff"])
def test_a_broken_report_is_refused(tmp_path: Path, content: str | bytes | None) -> None:
    run = finished_run(tmp_path / "run")
    run.report_file.unlink()
    if content is not None:
        run.report_file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(RunError, match=r"report\.json"):
        run.read_report()


def test_a_broken_config_is_told_as_an_error_of_ours(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    run.config_file.write_text("model: [")
    with pytest.raises(LorettaError):
        run.read_config()


def test_a_run_gets_the_folder_asked_for_or_the_next_free_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert choose_folder("some/where", "name") == Path("some/where")
    assert choose_folder("~/run", "name") == tmp_path / "home" / "run"
    assert choose_folder("~nobody-here/run", "name") == Path("~nobody-here/run")
    for expected in ("name", "name-2", "name-3"):
        folder = choose_folder(None, "name")
        assert folder == Path("runs") / expected
        folder.mkdir(parents=True)


@pytest.mark.parametrize("asked", ["moods", "mods", "runs/mods"])
def test_a_run_that_is_not_there_is_looked_for_among_the_usual_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_unfinished(tmp_path / "runs" / "moods")

    with pytest.raises(RunError, match="There is no run folder") as caught:
        find_run(Path(asked))

    assert caught.value.hint.startswith("Did you mean runs/moods?")


def test_where_nothing_is_like_it_the_list_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(RunError) as caught:
        find_run(Path("moods"))

    assert "`loretta runs`" in caught.value.hint
