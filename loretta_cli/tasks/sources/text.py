"""The bytes and the text of one file, with faults told by file and line. Imports errors only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loretta_cli.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
BYTE_ORDER_MARK = "\ufeff"


def read_bytes(path: Path, name: str) -> bytes:
    """Read the content of a file.

    Args:
        path: Where the file is.
        name: What the user calls it, for error messages.

    Raises:
        DataError: If the file is missing, is a folder, or may not be read.

    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(name, error) from error


def read_text(path: Path, name: str) -> str:
    """Read a UTF-8 file without its byte order mark; line ends are left as they are.

    Args:
        path: Where the file is.
        name: What the user calls it, for error messages.

    Raises:
        DataError: If the file cannot be read or is not UTF-8.

    """
    data = read_bytes(path, name)
    try:
        return data.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        if data.startswith(UTF_16_MARKS):
            raise DataError(
                f"{name} is UTF-16, not UTF-8.",
                hint="Save it as UTF-8, or: iconv -f utf-16 -t utf-8 OLD > NEW. With tabs between its "
                "cells, name it .tsv.",
            ) from error
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: byte 0x{data[error.start]:02x} (byte {error.start + 1} of the file) "
            "is not UTF-8.",
            hint="Save the file as UTF-8.",
        ) from error


def unreadable(name: str, error: OSError) -> DataError:
    """One sentence for an operating system's refusal to read ``name``."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{name}: no such file.", hint="If it is a link, check what it points to.")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{name} is a folder; a file was expected.")
    if isinstance(error, PermissionError):
        return DataError(f"{name} cannot be read: permission denied.", hint="Check who may read it.")
    return DataError(f"{name} cannot be read: {error.strerror or error}.")
