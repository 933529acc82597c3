"""Reading the user's data: a folder, one file, a bundled set or a hub data set becomes rows.

:func:`load_splits` is the one way in. Every row remembers its file and line, so that whoever finds a
fault later can say where it is (:func:`column_error`). One format is one file here: ``jsonl.py``,
``csv_file.py``, ``parquet.py``. May import :mod:`loretta_cli.errors`, :mod:`loretta_cli.registry` and
numpy; pyarrow and datasets are imported only inside the functions that need them.
"""

from loretta_cli.tasks.sources.columns import (
    Columns,
    check_given,
    check_rows,
    detect_columns,
    find_label,
    find_named,
    find_text,
)
from loretta_cli.tasks.sources.load import check_source, load_split, load_splits
from loretta_cli.tasks.sources.rows import Row, Splits, column_error, permutation

__all__ = [
    "Columns",
    "Row",
    "Splits",
    "check_given",
    "check_rows",
    "check_source",
    "column_error",
    "detect_columns",
    "find_label",
    "find_named",
    "find_text",
    "load_split",
    "load_splits",
    "permutation",
]
