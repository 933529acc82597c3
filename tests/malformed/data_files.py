"""Malformed data files for the task sst2, whose columns are ``sentence`` and ``label``.

An empty text is none of them: published data sets have such rows.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

GOOD = [{"sentence": f"the film was {'great' if n % 2 else 'bad'} {n}", "label": n % 2} for n in range(12)]
BAD_CELLS: dict[str, tuple[str, Any]] = {
    "unknown label": ("label", 7),
    "negative label": ("label", -2),
    "label of half": ("label", 0.5),
    "label in words": ("label", "rather good"),
    "no label": ("label", None),
    "list for a label": ("label", [0, 1]),
    "mapping for a label": ("label", {"is": 1}),
    "no text": ("sentence", None),
    "list for a text": ("sentence", ["a", "b"]),
    "mapping for a text": ("sentence", {"text": "a"}),
    "number for a text": ("sentence", 3),
}
IN_ANY_FORMAT = {
    "empty": b"",
    "a line break": b"\n",
    "random bytes": bytes(range(256)) * 8,
    "null bytes": b"\0" * 100,
    "of a picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 64,
    "of a zip archive": b"PK\x03\x04" + b"\0" * 64,
    "a web page": b"<!DOCTYPE html><html><body>404</body></html>\n",
    "another coding": "sentence,label\na,1\n".encode("utf-16"),
    "a pointer to a large file": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}


def as_jsonl(rows: list[Any]) -> bytes:
    """A line of JSON each."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    """Header and lines; a missing value is an empty cell."""
    lines = [",".join("" if value is None else f'"{value}"' for value in row.values()) for row in rows]
    return "\n".join([",".join(rows[0]), *lines, ""]).encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    """A table whose types are those of the rows."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def malformed_data() -> Iterator[tuple[str, str, bytes]]:
    """What is wrong, file name and content of each."""
    for ending in ("csv", "tsv", "jsonl", "parquet"):
        for name, content in IN_ANY_FORMAT.items():
            yield name, f"rows.{ending}", content
    for name, (column, value) in BAD_CELLS.items():
        rows = [*GOOD[:5], {**GOOD[5], column: value}, *GOOD[6:]]
        yield name, "rows.jsonl", as_jsonl(rows)
        if isinstance(value, int | float | str | None) and column == "label":
            yield name, "rows.csv", as_csv(rows)
    for name in ("no label", "unknown label", "negative label", "no text"):
        column, value = BAD_CELLS[name]
        yield name, "rows.parquet", as_parquet([*GOOD[:5], {**GOOD[5], column: value}])
    parquet = as_parquet(GOOD)
    yield "cut", "rows.parquet", parquet[: len(parquet) // 2]
    yield "changed", "rows.parquet", parquet[:20] + b"\xff" * 40 + parquet[60:]
    yield "no rows", "rows.parquet", as_parquet([{"sentence": "a", "label": 0}])[:4]
    yield "other columns", "rows.parquet", as_parquet([{"review": "a", "stars": 1}] * 4)
    yield "other columns", "rows.csv", b"review,stars\na,1\nb,0\n"
    yield "other columns", "rows.jsonl", as_jsonl([{"review": "a", "stars": 1}] * 4)
    yield "header alone", "rows.csv", b"sentence,label\n"
    yield "column twice", "rows.csv", b"sentence,label,label\na,1,1\nb,0,0\n"
    yield "nameless column", "rows.csv", b"sentence,\na,1\nb,0\n"
    yield "short line", "rows.csv", b"sentence,label\na,1\nb\nc,0\n"
    yield "long line", "rows.csv", b"sentence,label\na,1\nb, and c,0\n"
    yield "open quote", "rows.csv", b'sentence,label\n"a,1\nb,0\n'
    yield "cut in a character", "rows.csv", "sentence,label\nfilm,1\ncaf\u00e9".encode()[:-1] + b",0\n"
    yield "one row", "rows.csv", b"sentence,label\na,1\n"
    yield "cut line", "rows.jsonl", as_jsonl(GOOD)[:-20]
    yield "a list as a line", "rows.jsonl", as_jsonl([*GOOD[:2], ["a", 1]])
    yield "a text as a line", "rows.jsonl", as_jsonl([*GOOD[:2], "a"])
    yield "null as a line", "rows.jsonl", as_jsonl([*GOOD[:2], None])
    yield "one JSON for all", "rows.jsonl", json.dumps(GOOD, indent=2).encode()
    yield "not a number", "rows.jsonl", as_jsonl(GOOD[:2]) + b'{"sentence": "a", "label": NaN}\n'
    yield "a key twice", "rows.jsonl", as_jsonl(GOOD[:2]) + b'{"sentence": "a", "label": 1, "label": 0}\n'
    yield "deep nesting", "rows.jsonl", as_jsonl(GOOD[:2]) + b"[" * 5000 + b"]" * 5000 + b"\n"
    yield "another ending", "rows.xlsx", b"PK\x03\x04"
    yield "no ending", "rows", as_csv(GOOD)
    yield "an archive", "rows.csv.gz", b"\x1f\x8b"
