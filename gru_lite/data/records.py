"""Records of people: a CSV with one person a row, whose columns become features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from ..seeding import stream
from .dataset import DatasetParts
from .downloads import in_parts
from .rows import SPLITS, by_split, numbers_of, read_table

SPLIT = "split"
SHARES = (0.6, 0.15, 0.25)  # of train, val and test, where no column says the split
MISSING = ("", "?", "NA", "NaN", "nan", "null")
MOST_CLASSES = 50


def load_table(file: str | Path, target: str, sensitive: str) -> DatasetParts:
    """Load a CSV of records, such as people with an income and a sex.

    Every column but `target` and `split` is a feature, the sensitive one included. A column of numbers is
    standardised by train's mean and standard deviation. Any other is one-hot: a feature for each of its
    values in train. Write numbers that are names, such as postal codes, with a letter.

    Args:
        file: CSV with a header. A column `split` says train, val or test; without it, 60% of the rows, drawn
            once for all seeds, are train, 15% val and 25% test.
        target: column that the model learns, of 2 to 50 values.
        sensitive: column of the sensitive attribute, of 2 to 50 values.

    Returns:
        DatasetParts with float32 features (N, D). Targets and sensitive values are numbered in the order of
        their names, numbers by size.

    Raises:
        InputError: names the file and the column or row (as a spreadsheet counts: the header is row 1): a
            column that is not there, or has one value, or is no class; a value that is missing, not finite,
            or a category that no row of train has.
    """
    file = Path(file)
    if not file.is_file():
        raise InputError(f"{file} is no file: give a CSV with a header and one record a row")
    rows = read_table(file)
    for column, flag in ((target, "--target"), (sensitive, "--sensitive")):
        if column not in rows.columns[:-1]:
            raise InputError(f"{file} has no column {column!r} for {flag}: its columns are {_names(rows)}")
    if target == sensitive or SPLIT in (target, sensitive):
        raise InputError(
            f"--target {target} and --sensitive {sensitive} must be two columns, neither of them {SPLIT}"
        )
    check_complete(rows, str(file))
    classes = {column: _classes(rows[column], file, column) for column in (target, sensitive)}
    codes = {name: {value: i for i, value in enumerate(values)} for name, values in classes.items()}
    if SPLIT in rows:
        split = numbers_of(rows, SPLIT, {name: i for i, name in enumerate(SPLITS)})
    else:
        split = drawn_splits(len(rows), SHARES)
    features = rows.drop(columns=[target, "where", *([SPLIT] if SPLIT in rows else [])])
    rows = rows[["where"]].assign(
        target=numbers_of(rows, target, codes[target]),
        sensitive=numbers_of(rows, sensitive, codes[sensitive]),
        split=split,
    )
    for column in (target, sensitive):
        what = "target" if column == target else "sensitive"
        absent = set(range(len(classes[column]))) - set(rows.loc[split == 0, what])
        if absent:
            value = classes[column][min(absent)]
            raise InputError(f"{file}: {column} {value!r} is in no row of train: put some of its rows there")
    return parts_of(rows, features, tuple(classes.values()), name=file.stem)


def parts_of(
    rows: pd.DataFrame, features: pd.DataFrame, names: tuple, categories: dict | None = None, **about
) -> DatasetParts:
    """Return the three parts of records.

    Args:
        rows: where, target, sensitive and split (0, 1, 2), in any order.
        features: of the same rows, columns of texts or of numbers.
        names: (target_names, sensitive_names).
        categories: {column: values} of columns whose values are known; of others, those of train count.
        about: as `in_parts` takes them.
    """
    is_train = rows["split"].to_numpy() == 0
    blocks = []
    for name, column in features.items():
        if categories is None or name not in categories:
            numbers = pd.to_numeric(column, errors="coerce")
            if numbers.notna().all():
                blocks.append(_standardised(numbers.to_numpy(float), name, rows["where"], is_train)[:, None])
                continue
        values = (categories or {}).get(name) or sorted(set(column[is_train]))
        unseen = ~column.isin(values).to_numpy()
        if unseen.any():
            first = int(np.argmax(unseen))
            raise InputError(
                f"{rows['where'].iloc[first]}: {name} {column.iloc[first]!r} is in no row of train (rows of "
                f"val and test like that: {unseen.sum()}): write one value, such as 'other', for rare ones"
            )
        blocks.append(column.to_numpy()[:, None] == np.array(values, object))
    inputs = np.concatenate(blocks, axis=1).astype(np.float32)
    order = by_split(rows.assign(place=np.arange(len(rows))), about["name"])
    arrays = {"features": inputs[order["place"].to_numpy()]}
    return in_parts(order, names, arrays, joint=", ", **about)


def check_complete(rows: pd.DataFrame, name: str) -> None:
    """Refuse records with a missing value, and say how many there are of the column that has most."""
    missing = rows.isin(MISSING)
    counts = missing.sum()
    if counts.any():
        column = counts.idxmax()
        where = rows.loc[missing[column].idxmax(), "where"]
        raise InputError(
            f"{name} lacks {counts.sum():,} values in {missing.any(axis=1).sum():,} of {len(rows):,} rows, "
            f"{counts.max():,} of them of {column} (first: {where}): drop these rows, or fill in a number, "
            "or a category such as 'unknown'"
        )


def drawn_splits(n: int, shares: tuple[float, ...]) -> np.ndarray:
    """Return 0, 1 or 2 (train, val, test) for each of n records, in these shares; the same for all seeds."""
    order = stream(0, "splits").permutation(n)
    ends = np.round(np.cumsum(shares[:-1]) * n).astype(int)
    return np.searchsorted(ends, np.argsort(order), side="right")


def _standardised(values, name, where, is_train):
    if not np.isfinite(values).all():
        first = int(np.argmin(np.isfinite(values)))
        raise InputError(f"{where.iloc[first]}: {name} is not finite")
    spread = values[is_train].std()
    return (values - values[is_train].mean()) / (spread or 1)


def _classes(column, file, name):
    values = sorted(set(column))
    if len(values) == 1:
        raise InputError(f"{file}: {name} is {values[0]!r} in every row: at least two values are needed")
    if len(values) > MOST_CLASSES:
        raise InputError(
            f"{file}: {name} has {len(values):,} different values and is no class: divide it into a few, "
            "such as 'low' and 'high'"
        )
    numbers = pd.to_numeric(pd.Series(values), errors="coerce")
    return sorted(values, key=float) if numbers.notna().all() else values


def _names(rows):
    return ", ".join(rows.columns[:-1])
