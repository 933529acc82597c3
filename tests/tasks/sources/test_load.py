"""What a source is taken for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources import Splits, detect_columns, load, load_split, load_splits

Jsonl = Callable[[int], str]
REAL_DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def read(source: str, *, hub_id_allowed: bool = True) -> Splits:
    return load_splits(source, validation_fraction=0.25, seed=0, hub_id_allowed=hub_id_allowed)


@pytest.fixture
def asked_hub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that were looked up on the hub, which always fails."""
    asked: list[str] = []

    def refuse(source: str, **_: object) -> Splits:
        asked.append(source)
        raise DataError("asked the hub")

    monkeypatch.setattr(load, "load_hub", refuse)
    return asked


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The test's own folder as the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_is_read_and_named_as_the_user_named_it(
    here: Path, write: Callable[..., Path], jsonl: Jsonl
) -> None:
    write("mine/train.jsonl", jsonl(3))
    write("mine/dev.jsonl", jsonl(2))
    assert read("mine").train[0].file == os.path.join("mine", "train.jsonl")
    assert read("./mine/").train[0].file == "./mine/train.jsonl"


def test_a_file_is_split_by_the_fraction(here: Path, write: Callable[..., Path], jsonl: Jsonl) -> None:
    write("all.jsonl", jsonl(8))
    splits = read("all.jsonl")
    assert (len(splits.train), len(splits.validation)) == (6, 2)
    assert {row.file for row in splits.train} == {"all.jsonl"}


def test_the_seed_chooses_the_rows_held_out(here: Path, write: Callable[..., Path], jsonl: Jsonl) -> None:
    write("all.jsonl", jsonl(50))
    held = [load_splits("all.jsonl", validation_fraction=0.2, seed=s).validation for s in (0, 0, 1)]
    assert held[0] == held[1] != held[2]


def test_links_to_folders_and_files_are_followed(
    here: Path, write: Callable[..., Path], jsonl: Jsonl
) -> None:
    (here / "link.jsonl").symlink_to(write("real/train.jsonl", jsonl(4)))
    write("real/validation.jsonl", jsonl(2))
    (here / "link").symlink_to(here / "real")
    assert len(read("link.jsonl").train) == 3
    assert len(read("link").train) == 4


def test_the_home_folder_is_expanded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, write: Callable[..., Path], jsonl: Jsonl
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write("all.jsonl", jsonl(4))
    assert read("~/all.jsonl").train[0].file == "~/all.jsonl"


def test_a_bundled_set_is_read_by_its_name() -> None:
    assert len(read("bundled:customer-messages", hub_id_allowed=False).validation) == 120


def test_a_folder_wins_over_a_hub_id(
    here: Path, write: Callable[..., Path], jsonl: Jsonl, asked_hub: list[str]
) -> None:
    write("org/name/train.jsonl", jsonl(3))
    write("org/name/validation.jsonl", jsonl(2))
    assert len(read("org/name").train) == 3
    assert asked_hub == []


@pytest.mark.parametrize("source", ["org/name", "org/name:config"])
def test_a_hub_id_that_is_nothing_here_is_asked_for(here: Path, asked_hub: list[str], source: str) -> None:
    with pytest.raises(DataError, match="asked the hub"):
        read(source)
    assert asked_hub == [source]


def test_the_hub_is_not_asked_where_that_is_not_allowed(here: Path, asked_hub: list[str]) -> None:
    with pytest.raises(DataError, match=r"^org/name: no such file or folder\.$"):
        read("org/name", hub_id_allowed=False)
    assert asked_hub == []


@pytest.mark.parametrize(
    "source",
    [
        "./org",
        "../org/name",
        "/org/name",
        "~/org",
        "org\\name",
        "org/name.csv",
        "org/train.JSONL",
        "data.json",
        "there/name",
        "name",
        "a/b/c",
        "org/" + "n" * 5000,
        "nul\0",
    ],
    ids=lambda source: source[:20].replace("\0", "NUL"),
)
def test_a_missing_path_is_not_looked_up_on_the_hub(here: Path, asked_hub: list[str], source: str) -> None:
    (here / "there").mkdir()
    if len(source) > 1000:
        (here / "org").mkdir()
    with pytest.raises(DataError, match="no such file or folder") as caught:
        read(source)
    assert caught.value.hint
    assert asked_hub == []


def test_a_misspelt_path_gets_the_nearest_name(here: Path, write: Callable[..., Path]) -> None:
    write("data/train.jsonl", "")
    with pytest.raises(DataError) as caught:
        read("data/trian.jsonl")
    assert caught.value.hint == f"Did you mean {os.path.join('data', 'train.jsonl')}?"


def test_only_the_ending_in_common_is_no_nearest_name(here: Path, write: Callable[..., Path]) -> None:
    write("three.csv", "")
    write("reviews.tsv", "")
    with pytest.raises(DataError) as caught:
        read("nothere.csv")
    assert "Did you mean" not in caught.value.hint
    with pytest.raises(DataError) as caught:
        read("reviews.csv")
    assert caught.value.hint == "Did you mean reviews.tsv?"


@pytest.mark.parametrize("source", ["", "  "])
def test_an_empty_source_is_refused(source: str) -> None:
    with pytest.raises(DataError, match="data source is empty"):
        read(source)


def test_a_source_that_may_not_be_looked_at_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(DataError, match=r"^locked/all\.jsonl cannot be read: permission denied\.$"):
        read("locked/all.jsonl")


def test_reading_jsonl_imports_nothing_heavy(
    tmp_path: Path, write: Callable[..., Path], jsonl: Jsonl
) -> None:
    path = write("all.jsonl", jsonl(4))
    script = (
        "import sys\n"
        "from loretta_cli.tasks.sources import load_splits\n"
        f"load_splits({str(path)!r}, validation_fraction=0.5, seed=0)\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pyarrow', 'pandas'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not here")
def test_the_real_data_sets_can_all_be_read() -> None:
    for folder in sorted(path for path in REAL_DATA.iterdir() if path.is_dir()):
        splits = read(str(folder))
        assert len(splits.train) > 10, folder.name
        assert len(splits.validation) > 10, folder.name
    trec = read(str(REAL_DATA / "trec"))
    assert detect_columns(trec.train, text=None, text_pair=None, label=None).label == "coarse_label"


def read_split(source: str, split: str = "validation", *, whole_file: bool = False) -> int:
    """The number of rows in one split."""
    return len(load_split(source, split, validation_fraction=0.25, seed=0, whole_file=whole_file))


def test_a_split_of_a_folder_needs_no_other(here: Path, write: Callable[..., Path], jsonl: Jsonl) -> None:
    write("mine/test.jsonl", jsonl(3))
    assert read_split("mine", "test") == 3
    with pytest.raises(DataError, match="mine has no train file"):
        read_split("mine", "train")


def test_a_split_of_a_file_is_the_share_that_training_has(
    here: Path, write: Callable[..., Path], jsonl: Jsonl
) -> None:
    write("all.jsonl", jsonl(8))
    rows = load_split("all.jsonl", "validation", validation_fraction=0.25, seed=0)
    assert rows == read("all.jsonl").validation
    assert read_split("all.jsonl", "train") == 6


def test_a_file_is_one_whole_split_where_asked(here: Path, write: Callable[..., Path], jsonl: Jsonl) -> None:
    write("all.jsonl", jsonl(8))
    assert [read_split("all.jsonl", split, whole_file=True) for split in ("train", "test")] == [8, 8]
    write("one.jsonl", jsonl(1))
    assert read_split("one.jsonl", whole_file=True) == 1


def test_whole_file_changes_nothing_for_a_folder(
    here: Path, write: Callable[..., Path], jsonl: Jsonl
) -> None:
    write("mine/train.jsonl", jsonl(3))
    write("mine/validation.jsonl", jsonl(2))
    assert read_split("mine", whole_file=True) == 2


def test_a_split_that_a_source_lacks_is_refused(here: Path, write: Callable[..., Path], jsonl: Jsonl) -> None:
    write("all.jsonl", jsonl(8))
    with pytest.raises(DataError, match=r"all\.jsonl has no rows in the split 'test'") as caught:
        read_split("all.jsonl", "test")
    assert "--split" in caught.value.hint


def test_an_unknown_split_is_refused_with_the_known_ones(here: Path) -> None:
    with pytest.raises(DataError, match="Unknown split 'dev'; expected train, validation, test"):
        read_split("mine", "dev")


@pytest.mark.parametrize("whole_file", [False, True])
@pytest.mark.parametrize("source", ["", "  "])
def test_an_empty_source_of_a_split_is_refused(here: Path, source: str, whole_file: bool) -> None:
    with pytest.raises(DataError, match="The data source is empty"):
        read_split(source, whole_file=whole_file)


@pytest.mark.parametrize("whole_file", [False, True])
def test_a_missing_source_of_a_split_is_refused(here: Path, whole_file: bool) -> None:
    with pytest.raises(DataError, match=r"\./gone: no such file or folder"):
        read_split("./gone", whole_file=whole_file)


def test_a_split_may_come_from_the_hub(here: Path, asked_hub: list[str]) -> None:
    with pytest.raises(DataError, match="asked the hub"):
        read_split("org/name")
    assert asked_hub == ["org/name"]
