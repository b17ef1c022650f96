"""Lists of samples: read from CSV files, and checked so that what is wrong is named with its row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError

SPLITS = ("train", "val", "test")


def read_table(file: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a CSV as texts, and add the column `where`, which names a row (as a spreadsheet counts: the header
    is row 1). `columns` are those to keep; None: all.

    Raises:
        InputError: a file that is empty or no CSV, or that lacks one of `columns`; rows with more fields than
            the header.
    """
    try:
        # Blank lines are kept for the row numbers, and dropped below.
        rows = pd.read_csv(file, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except pd.errors.EmptyDataError:
        header = ",".join(columns or ["the names of its columns"])
        raise InputError(f"{file} is empty: its first row must be {header}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not a readable CSV: save it as UTF-8 ({str(error).strip()})") from None
    except pd.errors.ParserError as error:
        raise InputError(f"{file} is not a readable CSV: {str(error).strip()}") from None
    if not isinstance(rows.index, pd.RangeIndex):
        raise InputError(f"{file}: its rows have more fields than its header: quote what holds a comma")
    columns = list(rows.columns if columns is None else columns)
    missing = [column for column in columns if column not in rows.columns]
    if missing:
        raise InputError(
            f"{file} has no column {missing[0]!r}: its columns are {', '.join(rows.columns)}; "
            f"needed are {', '.join(columns)}"
        )
    rows = rows[columns].fillna("")
    rows["where"] = [f"{file} row {number}" for number in range(2, len(rows) + 2)]
    return rows[(rows[columns] != "").any(axis=1)]


def numbers_of(rows: pd.DataFrame, column: str, codes: dict[str, int] | Sequence[str]) -> np.ndarray:
    """Return the int64 codes of a column of texts; `codes` maps every text that may stand there, or lists
    them in the order of their numbers.
    """
    if not isinstance(codes, dict):
        codes = {text: number for number, text in enumerate(codes)}
    found = rows[column].map(codes)
    if found.isna().any():
        row = rows.iloc[int(np.argmax(found.isna()))]
        raise InputError(f"{row['where']}: {column} {row[column]!r} is none of {', '.join(codes)}")
    return found.to_numpy(np.int64)


def check_unique(rows: pd.DataFrame, column: str) -> None:
    """Refuse a value that stands in two rows."""
    again = rows[column].duplicated().to_numpy()
    if again.any():
        row = rows.iloc[int(np.argmax(again))]
        first = rows.iloc[int(np.argmax((rows[column] == row[column]).to_numpy()))]
        raise InputError(
            f"{row['where']}: {column} {row[column]!r} is already in {first['where']}: keep one of the rows"
        )


def by_split(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return `rows` sorted by the column `split` (0 train, 1 val, 2 test), each split in its own order."""
    for i, split in enumerate(SPLITS):
        if not (rows["split"] == i).any():
            raise InputError(f"{name}: no row is of split {split}: train, val and test are all needed")
    return rows.iloc[np.argsort(rows["split"], kind="stable")]


def split_slices(rows: pd.DataFrame) -> list[tuple[str, slice]]:
    """Return (split, slice) of rows that are sorted by split."""
    ends = np.searchsorted(rows["split"], range(len(SPLITS) + 1))
    return [(split, slice(*ends[i : i + 2])) for i, split in enumerate(SPLITS)]
