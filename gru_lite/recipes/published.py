"""The paper's numbers, as data: published hyperparameters and reported scores. Facts, in the folder
published/.

Hyperparameters: a row for each data set, model, scenario ("one group", "9 groups", "25 groups"), ratio,
method and REWEIGHT.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..methods import method_names

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent / "published"


@cache
def hyperparameters() -> tuple[dict[str, str], ...]:
    """Return the rows of the published table, as dicts of texts."""
    with open(FOLDER / "hyperparameters.csv", newline="") as file:
        return tuple(csv.DictReader(file))


def published_methods() -> tuple[str, ...]:
    """Return the methods that the table has values of, in its order."""
    names = dict.fromkeys(row["method"] for row in hyperparameters())
    return tuple(name for name in names if name not in ("pretrain", "retrain"))


def reported() -> pd.DataFrame:
    """Return the seed means of the paper's first version (arXiv v1; of CelebA, with target Attractive)."""
    import pandas as pd

    return pd.read_csv(FOLDER / "reported_v1.csv")


def scenario(groups: tuple[str, ...]) -> str:
    """Return the table's name of a request, given as --groups is: (), a group, several, or a set's number."""
    n = int(groups[0]) if len(groups) == 1 and groups[0].isdigit() else len(groups) or 1
    return "one group" if n == 1 else f"{n} groups"


def is_borrowed(groups: tuple[str, ...]) -> bool:
    """Return whether a request has the published values of another."""
    return scenario(groups) == "2 groups"


def published_row(
    dataset: str, model: str, groups: tuple[str, ...], ratio: str | None, method: str, reweight: bool
) -> dict[str, str]:
    """Return the row of the table that answers a run.

    `groups` are as --groups is; the original has no ratio; `method` is of the paper, "original", or anything
    else that is trained like a retrain. Two groups have the values of one: the paper forgets two in an
    ablation, and publishes no others for it.

    Raises:
        InputError: the table has no such row; lists the requests that it has.
    """
    unlearns = method in method_names()
    name = method if unlearns else "pretrain" if ratio is None else "retrain"
    asked = {"dataset": dataset, "method": name, "reweight": "yes" if reweight else "no"}
    mine = [row for row in hyperparameters() if asked.items() <= row.items()]
    request = "one group" if is_borrowed(groups) else scenario(groups)
    wanted = (model, request, ratio) if unlearns else (model, "any", "any")
    for row in mine:
        if (row["model"], row["scenario"], row["forget_ratio"]) == wanted:
            return row
    known = "; ".join(f"{row['model']}, {row['scenario']}, ratio {row['forget_ratio']}" for row in mine)
    raise InputError(
        f"--preset paper has no values of {name}{' with REWEIGHT' * reweight} for {dataset}: {wanted[0]}, "
        f"{wanted[1]}, ratio {wanted[2]}; it has {known or 'no such method'} (--preset corrected takes any)"
    )
