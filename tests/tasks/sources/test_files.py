"""One file, and a folder of split files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from loretta_cli.errors import DataError
from loretta_cli.tasks.sources.files import load_file, load_folder, load_folder_split, read_file

Jsonl = Callable[[int], str]


def folder_fault(folder: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        load_folder(folder, "data/mine")
    return caught.value


def test_the_extension_chooses_the_reader_whatever_its_case(write: Callable[..., Path]) -> None:
    assert read_file(write("a.CSV", "text\ta\nb\t1\n"), "a.CSV")[0].values == {"text": "b", "a": "1"}
    assert read_file(write("a.tsv", "x,y\tz\n1\t2\n"), "a.tsv")[0].values == {"x,y": "1", "z": "2"}
    assert read_file(write("a.jsonl", '{"x": 1}\n'), "a.jsonl")[0].values == {"x": 1}


def test_json_is_refused_with_the_way_to_jsonl(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"data/a\.json: \.json is not read") as caught:
        read_file(write("a.json", "[]"), "data/a.json")
    assert ".jsonl" in caught.value.hint


@pytest.mark.parametrize("name", ["a.xlsx", "a.jsonl.gz", "a"])
def test_an_unknown_kind_of_file_is_refused_with_the_known_ones(
    write: Callable[..., Path], name: str
) -> None:
    with pytest.raises(DataError, match=r"expected \.jsonl, \.csv, \.tsv, \.parquet or \.txt"):
        read_file(write(name, "text\n"), name)


def test_a_sheet_is_refused_with_what_to_save(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError) as caught:
        read_file(write("a.xlsx", "text\n"), "a.xlsx")
    assert caught.value.hint == 'Save the sheet as "CSV UTF-8" and give that file.'


def test_one_file_is_split_and_the_description_says_how(write: Callable[..., Path], jsonl: Jsonl) -> None:
    splits = load_file(write("a.jsonl", jsonl(10)), "data/a.jsonl", validation_fraction=0.2, seed=5)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (8, 2, 0)
    assert splits.description == "8 train rows and 2 validation rows held out of data/a.jsonl (seed 5)"


def test_one_file_with_one_row_is_refused(write: Callable[..., Path], jsonl: Jsonl) -> None:
    with pytest.raises(DataError, match="at least 2"):
        load_file(write("a.jsonl", jsonl(1)), "a.jsonl", validation_fraction=0.2, seed=0)


def test_a_folder_gives_its_splits_in_their_own_formats(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path
) -> None:
    write("train.jsonl", jsonl(3))
    write("validation.csv", "text,label\na,1\n")
    write("test.tsv", "text\tlabel\na\t1\nb\t0\n")
    write("notes.txt", "not data")
    splits = load_folder(tmp_path, "data/mine")
    assert [len(rows) for rows in (splits.train, splits.validation, splits.test)] == [3, 1, 2]
    assert splits.train[0].place == "data/mine/train.jsonl, line 1"
    assert splits.description == (
        "3 train rows from data/mine/train.jsonl, 1 validation row from data/mine/validation.csv, "
        "2 test rows from data/mine/test.tsv"
    )


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "Dev"])
def test_the_validation_file_has_several_names(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path, name: str
) -> None:
    write("train.jsonl", jsonl(3))
    write(f"{name}.jsonl", jsonl(2))
    splits = load_folder(tmp_path, "data")
    assert len(splits.validation) == 2
    assert splits.test == ()


@pytest.mark.parametrize(
    ("first", "second", "split"),
    [
        ("train.csv", "train.jsonl", "train"),
        ("dev.jsonl", "validation.jsonl", "validation"),
        ("test.csv", "test.tsv", "test"),
    ],
)
def test_two_files_for_one_split_are_refused_by_name(
    write: Callable[..., Path], tmp_path: Path, first: str, second: str, split: str
) -> None:
    write(first, "x")
    write(second, "x")
    assert folder_fault(tmp_path).message == (
        f"data/mine has 2 files for the {split} split: {first} and {second}."
    )


def test_a_folder_without_train_file_says_what_was_found(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path
) -> None:
    write("trian.jsonl", jsonl(3))
    write("validation.jsonl", jsonl(3))
    assert folder_fault(tmp_path).message == (
        "data/mine has no train file; found trian.jsonl, validation.jsonl."
    )


def test_a_crowded_folder_is_listed_in_part(write: Callable[..., Path], tmp_path: Path) -> None:
    for number in range(13):
        write(f"{number:02}.txt", "x")
    message = folder_fault(tmp_path).message
    assert "09.txt and 3 more" in message
    assert "10.txt" not in message


def test_an_empty_folder_is_called_empty(tmp_path: Path) -> None:
    assert folder_fault(tmp_path).message == "data/mine has no train file; the folder is empty."


def test_a_folder_without_validation_file_says_both_ways_out(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path
) -> None:
    write("train.csv", jsonl(3))
    error = folder_fault(tmp_path)
    assert error.message == "data/mine has no validation file; found train.csv."
    assert "Add validation.jsonl" in error.hint
    assert "pass data/mine/train.csv itself" in error.hint


def test_a_json_file_in_a_folder_is_refused_with_the_way_to_jsonl(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path
) -> None:
    write("train.json", "[]")
    write("validation.jsonl", jsonl(2))
    error = folder_fault(tmp_path)
    assert error.message.startswith("data/mine/train.json: .json is not read")


def test_a_folder_named_like_a_split_file_is_told(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path
) -> None:
    (tmp_path / "train.jsonl").mkdir()
    write("validation.jsonl", jsonl(2))
    assert folder_fault(tmp_path).message == "data/mine/train.jsonl is a folder; a file was expected."


def test_a_link_to_nothing_in_a_folder_is_told(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path
) -> None:
    (tmp_path / "train.jsonl").symlink_to(tmp_path / "gone.jsonl")
    write("validation.jsonl", jsonl(2))
    assert folder_fault(tmp_path).message == "data/mine/train.jsonl: no such file."


def test_a_folder_that_may_not_be_listed_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert folder_fault(tmp_path).message == "data/mine cannot be read: permission denied."


def split_fault(folder: Path, split: str) -> DataError:
    with pytest.raises(DataError) as caught:
        load_folder_split(folder, "data/mine", split)
    return caught.value


@pytest.mark.parametrize(("split", "count"), [("train", 3), ("validation", 2), ("test", 1)])
def test_one_split_of_a_folder_is_read_alone(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path, split: str, count: int
) -> None:
    write("train.jsonl", jsonl(3))
    write("DEV.jsonl", jsonl(2))
    write("test.csv", "text,label\na,1\n")
    assert len(load_folder_split(tmp_path, "data/mine", split)) == count


def test_one_split_needs_no_others_and_is_not_hurt_by_their_faults(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path
) -> None:
    write("train.jsonl", "not json\n")
    write("test.jsonl", jsonl(2))
    rows = load_folder_split(tmp_path, "data/mine", "test")
    assert [row.place for row in rows] == [
        f"{os.path.join('data/mine', 'test.jsonl')}, line {n}" for n in (1, 2)
    ]


def test_a_missing_split_is_told_with_what_there_is(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path
) -> None:
    write("train.jsonl", jsonl(2))
    error = split_fault(tmp_path, "test")
    assert error.message == "data/mine has no test file; found train.jsonl."
    assert error.hint == "Name it test, with the ending .jsonl, .csv, .tsv, .parquet or .txt."


def test_two_files_for_one_split_are_refused(
    write: Callable[..., Path], jsonl: Jsonl, tmp_path: Path
) -> None:
    write("val.jsonl", jsonl(2))
    write("validation.csv", "text,label\na,1\n")
    assert (
        "2 files for the validation split: val.jsonl and validation.csv"
        in split_fault(tmp_path, "validation").message
    )
