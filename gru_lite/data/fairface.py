"""FairFace (Karkkainen and Joo, 2021): faces, 224 x 224, with age and race.

Read from ROOT/fairface/: train/, val/, and fairface_label_train.csv and fairface_label_val.csv with the
columns file,age, gender,race,service_test. As in the paper's release, the rows whose service_test is True
count, a tenth of train is the validation set (the same one for every seed), and val is the test set. Several
groups may be forgotten at once: GROUP_SETS.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..seeding import stream
from .dataset import DatasetParts
from .downloads import check_download, pictures
from .registry import Source
from .rows import check_unique, numbers_of, read_table

AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
RACES = ("Black", "Southeast Asian", "Middle Eastern", "Indian", "Latino_Hispanic", "White", "East Asian")
COLUMNS = ("file", "age", "gender", "race", "service_test")
LABELS = tuple(f"fairface/fairface_label_{part}.csv" for part in ("train", "val"))
# The paper's requests of 9 and of 25 groups, as (age, race).
GROUP_SETS = {
    "9": tuple((age, race) for age in (3, 6, 1) for race in (0, 4, 5)),
    "25": tuple((age, race) for age in (3, 6, 1, 8, 4) for race in (0, 4, 5, 6, 2)),
}
ABOUT = Source(
    "fairface",
    files=(*LABELS, "fairface/train/", "fairface/val/"),
    origin="take them (pictures of margin 0.25, labels of train and validation) from https://github.com/joojs/fairface",
    default_groups=((3, 0),),
    group_sets=GROUP_SETS,
    published="fairface",
)


def load(root: str | Path, image_size: int | None = None) -> DatasetParts:
    """Return train, val and test; see `gru_lite.load`."""
    root = check_download(ABOUT, root)
    folder, tables = root / "fairface", []
    for name in ("train", "val"):
        rows = read_table(folder / f"fairface_label_{name}.csv", COLUMNS)
        kept = numbers_of(rows, "service_test", {"False": 0, "True": 1}) == 1
        split = np.full(len(rows), 2)
        if name == "train":
            drawn = stream(0, "fairface", "validation").permutation(np.flatnonzero(kept))
            split[:] = 0
            split[drawn[: len(drawn) // 10]] = 1
        rows = rows.assign(
            path=rows["file"],
            target=numbers_of(rows, "age", AGES),
            sensitive=numbers_of(rows, "race", RACES),
            split=split,
        )
        tables.append(rows[kept])
    rows = pd.concat(tables)
    check_unique(rows, "file")
    return pictures(
        root, folder, rows, (AGES, RACES), image_size, shape=(224, 224),
        name="fairface", default_groups=ABOUT.default_groups, joint=", ",
    )  # fmt: skip
