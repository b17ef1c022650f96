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

SPLIT, WHERE = "split", "where"
SHARES = (0.6, 0.15, 0.25)  # of train, val and test, where no column says the split
MISSING = ("", "?", "-", "na", "n/a", "<na>", "nan", "null", "none")  # in small letters
MOST_CLASSES = 50


def load_table(file: str | Path, target: str, sensitive: str) -> DatasetParts:
    """Load a CSV of records, such as people with an income and a sex.

    Every column but `target` and `split` is a feature, the sensitive one included. A column of numbers is
    standardised by train's mean and standard deviation. Any other is one-hot: a feature for each of its
    values in train. Write numbers that are names, such as postal codes, with a letter.

    Args:
        file: CSV with a header, its fields separated by commas. A column `split` says train, val or test;
            without it, 60% of the rows, drawn once for all seeds, are train, 15% val and 25% test.
        target: column that the model learns, of 2 to 50 values.
        sensitive: column of the sensitive attribute, of 2 to 50 values.

    Returns:
        DatasetParts with float32 features (N, D). Targets and sensitive values are numbered in the order of
        their names, numbers by size. The source of a sample is its row in the file, the first after the
        header being 2.

    Raises:
        InputError: names the file and the column or row (as a spreadsheet counts: the header is row 1): a
            column that is not there, is there twice, or has one value or too many; a value that is missing,
            not finite, no number among numbers, or a category that no row of train has.
    """
    file = Path(file)
    if not file.is_file():
        raise InputError(f"{file} is no file: give a CSV with a header and one record a row")
    rows = _read(file)
    columns = [name for name in rows if name != WHERE]
    for column, flag in ((target, "--target"), (sensitive, "--sensitive")):
        if column not in columns:
            hint = "" if len(columns) > 1 else " (separate them with commas)"
            raise InputError(
                f"{file} has no column {column!r} for {flag}: its columns are {', '.join(columns)}{hint}"
            )
    if target == sensitive or SPLIT in (target, sensitive):
        raise InputError(
            f"--target {target} and --sensitive {sensitive} must be two columns, neither of them {SPLIT}"
        )
    if rows.empty:
        raise InputError(f"{file} has a header but no rows: a record a row is needed")
    _check_complete(rows[columns], rows[WHERE])
    classes = {column: _classes(rows[column], file, column) for column in (target, sensitive)}
    if SPLIT in columns:
        split = numbers_of(rows, SPLIT, SPLITS)
    else:
        split = drawn_splits(len(rows), SHARES)
    features = rows[[name for name in columns if name not in (target, SPLIT)]]
    labels = rows[[WHERE]].assign(
        source=rows.index + 2,
        target=numbers_of(rows, target, classes[target]),
        sensitive=numbers_of(rows, sensitive, classes[sensitive]),
        split=split,
    )
    for column, what in ((target, "target"), (sensitive, "sensitive")):
        absent = set(range(len(classes[column]))) - set(labels.loc[split == 0, what])
        if absent:
            value = classes[column][min(absent)]
            raise InputError(f"{file}: {column} {value!r} is in no row of train: put some of its rows there")
    return parts_of(labels, features, tuple(classes.values()), name=file.stem)


def parts_of(
    rows: pd.DataFrame, features: pd.DataFrame, names: tuple, categories: dict | None = None, **about
) -> DatasetParts:
    """Return the three parts of records.

    Args:
        rows: where, target, sensitive, split (0, 1, 2) and source, in any order.
        features: of the same rows, columns of texts or of numbers.
        names: (target_names, sensitive_names).
        categories: {column: values} of columns whose values are known; of others, those of train count.
        about: as `in_parts` takes them.
    """
    is_train = rows["split"].to_numpy() == 0
    blocks = []
    for name, column in features.items():
        values = (categories or {}).get(name)
        if values is None:
            numbers = pd.to_numeric(column, errors="coerce")
            if _is_numeric(column, numbers, rows[WHERE]):
                blocks.append(_standardised(numbers.to_numpy(float), name, rows[WHERE], is_train)[:, None])
                continue
            values = sorted(set(column[is_train]))
        unseen = ~column.isin(values).to_numpy()
        if unseen.any():
            first = int(np.argmax(unseen))
            raise InputError(
                f"{rows[WHERE].iloc[first]}: {name} {column.iloc[first]!r} is in no row of train: write one "
                f"value, such as 'other', for all rare ones (here in {unseen.sum()} of {len(rows)} rows)"
            )
        blocks.append(column.to_numpy()[:, None] == np.array(values, object))
    if not blocks:
        raise InputError(f"{about['name']} has no column that could be a feature")
    inputs = np.concatenate(blocks, axis=1).astype(np.float32)
    order = by_split(rows.assign(place=np.arange(len(rows))), about["name"])
    arrays = {"features": inputs[order["place"].to_numpy()], "source": order["source"].to_numpy()}
    return in_parts(order, names, arrays, joint=", ", **about)


def _read(file):
    """The rows as texts without blanks around them, and a column that names each."""
    rows = read_table(file)
    header = pd.read_csv(file, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0].str.strip()
    for number, name in enumerate(header, 1):
        if not name or name.lower() in (WHERE, SPLIT) and name != SPLIT:
            wrong = "has no name" if not name else f"is called {name!r}, which means something else here"
            raise InputError(f"{file}: column {number} {wrong}: name it in another way, or leave it out")
    again = header[header.duplicated()]
    if len(again):
        raise InputError(f"{file} has two columns {again.iloc[0]!r}: name one of them in another way")
    rows.columns = [*header, WHERE]
    return rows.apply(lambda column: column.str.strip())


def drawn_splits(n: int, shares: tuple[float, ...]) -> np.ndarray:
    """Return 0, 1 or 2 (train, val, test) for each of n records, in these shares; the same for all seeds."""
    order = stream(0, "splits").permutation(n)
    ends = np.round(np.cumsum(shares[:-1]) * n).astype(int)
    return np.searchsorted(ends, np.argsort(order), side="right")


def _check_complete(rows, where):
    missing = rows.apply(lambda column: column.str.lower().isin(MISSING))
    lacking = missing.any(axis=1).to_numpy()
    if not lacking.any():
        return
    at = int(lacking.argmax())
    name = missing.columns[missing.iloc[at].to_numpy().argmax()]
    raise InputError(
        f"{where.iloc[at]}: {name} is missing. {lacking.sum():,} of {len(rows):,} rows lack a value. "
        "Drop these rows, or write a number, or a category such as 'unknown'"
    )


def _is_numeric(column, numbers, where):
    """Whether a column is one of numbers. A few cells that are none are a slip."""
    odd = numbers.isna().to_numpy()
    if odd.any() and odd.mean() < 0.5:
        first = int(odd.argmax())
        raise InputError(
            f"{where.iloc[first]}: {column.name} {column.iloc[first]!r} is not a number, but "
            f"{(~odd).sum():,} of its {len(odd):,} values are"
        )
    return not odd.any()


def _standardised(values, name, where, is_train):
    train = values[is_train]
    if np.isfinite(values).all():
        with np.errstate(over="ignore", invalid="ignore"):
            spread = train.std() if np.ptp(train) else 1.0  # constant: rounding would leave a spread
            scaled = (values - train.mean()) / spread
            if np.isfinite(spread) and np.isfinite(scaled.astype(np.float32)).all():
                return scaled
    first = int(np.argmax(np.abs(np.nan_to_num(values, nan=np.inf))))
    raise InputError(f"{where.iloc[first]}: {name} {values[first]:g} is too large, or not finite")


def _classes(column, file, name):
    values = sorted(set(column))
    if len(values) == 1:
        raise InputError(f"{file}: {name} is {values[0]!r} in every row: at least two values are needed")
    if len(values) > MOST_CLASSES:
        raise InputError(
            f"{file}: {name} has {len(values):,} different values, and a class may have {MOST_CLASSES} at "
            "most: divide its range into a few, such as 'low' and 'high'"
        )
    numbers = pd.to_numeric(pd.Series(values), errors="coerce")
    if numbers.notna().all() and numbers.nunique() == len(values):
        return sorted(values, key=float)
    return values
