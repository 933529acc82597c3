"""One data file, and a folder of them. Imports errors, rows, text and the readers of the formats."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from loretta_cli.errors import DataError
from loretta_cli.numerals import counted
from loretta_cli.tasks.sources.csv_file import read_csv, read_tsv
from loretta_cli.tasks.sources.jsonl import read_jsonl
from loretta_cli.tasks.sources.paragraphs import read_paragraphs
from loretta_cli.tasks.sources.parquet import read_parquet
from loretta_cli.tasks.sources.rows import Row, Splits, hold_out
from loretta_cli.tasks.sources.text import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Reader = Callable[[Path, str], tuple[Row, ...]]

READERS: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
    ".txt": read_paragraphs,
}
FORMATS = ".jsonl, .csv, .tsv, .parquet or .txt"
SUFFIXES = (*READERS, ".json")
# MNLI has two validation sets; the matched one is what its reports mean by "validation".
SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev", "validation_matched"),
    "test": ("test",),
    "validation_mismatched": ("validation_mismatched",),
}


def reader_of(path: Path, name: str) -> Reader:
    """What reads a file, by its ending.

    Args:
        path: Where the file is.
        name: What the user calls it.

    Raises:
        DataError: If the format is not known.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        raise DataError(
            f"{name}: .json is not read; expected {FORMATS}.",
            hint="Write one object a line and name it .jsonl: jq -c '.[]' data.json > data.jsonl",
        )
    if suffix not in READERS:
        is_sheet = suffix in (".xlsx", ".xls", ".ods")
        hint = 'Save the sheet as "CSV UTF-8" and give that file.' if is_sheet else ""
        raise DataError(f"{name}: unknown kind of data file; expected {FORMATS}.", hint=hint)
    return READERS[suffix]


def read_file(path: Path, name: str) -> tuple[Row, ...]:
    """Read one file by its ending.

    Args:
        path: Where the file is.
        name: What the user calls it.

    Returns:
        At least one row.

    Raises:
        DataError: If the format is not known or the reader finds a fault.

    """
    return reader_of(path, name)(path, name)


def load_file(path: Path, name: str, *, validation_fraction: float, seed: int) -> Splits:
    """Split one file into train and validation rows.

    Args:
        path: Where the file is.
        name: What the user calls it.
        validation_fraction: The share of rows to hold out.
        seed: Chooses which rows are held out.

    Returns:
        The splits, with no test rows.

    Raises:
        DataError: If the file has a fault or fewer than two rows.

    """
    train, validation = hold_out(read_file(path, name), validation_fraction, seed)
    return Splits(train, validation, (), describe_hold_out(train, validation, name, seed))


def load_folder(folder: Path, name: str) -> Splits:
    """Read the train, validation and, where there is one, test file of a folder.

    Args:
        folder: Where the folder is.
        name: What the user calls it.

    Returns:
        The splits.

    Raises:
        DataError: If there is no train or validation file, there are two files for one split, or a
            file has a fault.

    """
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(name, error) from error
    files = {split: _split_file(found, split, name) for split in SPLIT_NAMES}
    if files["train"] is None:
        raise DataError(
            f"{name} has no train file; {_listing(found)}.", hint=f"Name it train, with the ending {FORMATS}."
        )
    if files["validation"] is None:
        train_file = os.path.join(name, files["train"].name)
        raise DataError(
            f"{name} has no validation file; {_listing(found)}.",
            hint=f"Add validation.jsonl (or .csv, .tsv, .parquet, .txt), or pass {train_file} itself to have "
            "a share of it held out.",
        )
    rows = {
        split: read_file(path, os.path.join(name, path.name)) if path is not None else ()
        for split, path in files.items()
    }
    return Splits(**rows, description=describe(rows))


def load_folder_split(folder: Path, name: str, split: str) -> tuple[Row, ...]:
    """Read the file of one split of a folder.

    Args:
        folder: Where the folder is.
        name: What the user calls it.
        split: One of :data:`SPLIT_NAMES`.

    Returns:
        At least one row.

    Raises:
        DataError: If the file is missing, there are two, or it has a fault.
    """
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(name, error) from error
    path = _split_file(found, split, name)
    if path is None:
        raise DataError(
            f"{name} has no {split} file; {_listing(found)}.",
            hint=f"Name it {split}, with the ending {FORMATS}.",
        )
    return read_file(path, os.path.join(name, path.name))


def describe(splits: dict[str, tuple[Row, ...]]) -> str:
    """``"480 train rows from data/train.csv, 120 validation rows from …"``, without empty splits."""
    return ", ".join(
        f"{counted(len(rows), f'{split} row')} from {rows[0].file}" for split, rows in splits.items() if rows
    )


def describe_hold_out(train: tuple[Row, ...], validation: tuple[Row, ...], name: str, seed: int) -> str:
    """``"90 train rows and 10 validation rows held out of data/all.csv (seed 0)"``."""
    held = counted(len(validation), "validation row")
    return f"{counted(len(train), 'train row')} and {held} held out of {name} (seed {seed})"


def _split_file(found: Iterable[Path], split: str, name: str) -> Path | None:
    files = [
        path for path in found if path.stem.lower() in SPLIT_NAMES[split] and path.suffix.lower() in SUFFIXES
    ]
    if len(files) > 1:
        both = " and ".join(path.name for path in files)
        raise DataError(
            f"{name} has {len(files)} files for the {split} split: {both}.", hint="Keep one of them."
        )
    return files[0] if files else None


def _listing(found: list[Path]) -> str:
    if not found:
        return "the folder is empty"
    names = [path.name for path in found]
    return f"found {', '.join(names[:10])}" + (f" and {len(names) - 10} more" if len(names) > 10 else "")
