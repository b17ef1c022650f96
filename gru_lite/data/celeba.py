"""CelebA (Liu et al., 2015): faces of celebrities, 178 x 218, with 40 attributes.

Read from ROOT/celeba/: img_align_celeba/, list_attr_celeba.txt (the number of pictures, the names of the
attributes, then a line for each picture: its file, and -1 or 1 for each attribute) and
list_eval_partition.txt (a file and 0, 1 or 2). Sensitive attribute: Male. Target: Blond_Hair (TMLR version of
the paper), or Attractive (its first version).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import InputError, check_choice
from .dataset import DatasetParts
from .downloads import check_download, pictures
from .registry import Source
from .rows import check_unique, numbers_of

TARGETS = {"Blond_Hair": ("not blond", "blond"), "Attractive": ("not attractive", "attractive")}
GENDERS = ("female", "male")
COUNTS = {  # Sagawa et al. (2020)
    "train": (71629, 66874, 22880, 1387),
    "val": (8535, 8276, 2874, 182),
    "test": (9767, 7535, 2480, 180),
}
ABOUT = Source(
    "celeba",
    files=("celeba/img_align_celeba/", "celeba/list_attr_celeba.txt", "celeba/list_eval_partition.txt"),
    origin="take them (Align&Cropped Images, Anno, Eval) from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    default_groups=((1, 1),),
    targets=tuple(TARGETS),
    counts={"celeba-blond_hair": COUNTS},
    # The splits are the same for every target.
    sizes={"celeba-attractive": {split: sum(counts) for split, counts in COUNTS.items()}},
    reported="Attractive",
    published="celeba",
)


def load(root: str | Path, image_size: int | None = None, target: str = "Blond_Hair") -> DatasetParts:
    """Return train, val and test; see `gru_lite.load`."""
    check_choice(target, TARGETS, "target of celeba")
    root = check_download(ABOUT, root)
    folder = root / "celeba"
    file, partition = folder / "list_attr_celeba.txt", folder / "list_eval_partition.txt"
    count, *lines = _lines(file)
    if count.strip() != str(len(lines) - 1):
        raise InputError(
            f"{file} line 1 should be the number of pictures, {max(0, len(lines) - 1)}, but is "
            f"{count.strip()!r}: is the download complete?"
        )
    header, lines = lines[0].split(), lines[1:]
    for name in (target, "Male"):
        if header.count(name) != 1:
            raise InputError(
                f"{file} line 2 does not name the attribute {name!r} once: it must list the attributes"
            )
    splits = _lines(partition)
    if len(splits) != len(lines):
        raise InputError(
            f"{partition} has {len(splits)} lines, but {file.name} lists "
            f"{len(lines)} pictures: is the download complete?"
        )
    at = {name: header.index(name) + 1 for name in (target, "Male")}
    table = []
    for number, (line, split) in enumerate(zip(lines, splits), 1):
        line, split = line.split(), split.split()
        if len(line) != len(header) + 1:
            raise InputError(
                f"{file} line {number + 2} has {len(line)} fields, "
                f"but should have a file and {len(header)} attributes"
            )
        if len(split) != 2 or split[0] != line[0]:
            raise InputError(
                f"{partition} line {number} is {' '.join(split)!r}, but should be {line[0]!r} and a split"
            )
        table.append((line[0], line[at[target]], line[at["Male"]], split[1], f"{file} line {number + 2}"))
    rows = pd.DataFrame(table, columns=["path", target, "Male", "split", "where"])
    check_unique(rows, "path")
    signs = {"-1": 0, "1": 1}
    rows = rows.assign(
        target=numbers_of(rows, target, signs),
        sensitive=numbers_of(rows, "Male", signs),
        split=numbers_of(rows, "split", {"0": 0, "1": 1, "2": 2}),
    )
    return pictures(
        root, folder / "img_align_celeba", rows, (TARGETS[target], GENDERS), image_size,
        shape=(178, 218), crop=False, kept="celeba",
        name=f"celeba-{target.lower()}", default_groups=ABOUT.default_groups, joint=", ",
    )  # fmt: skip


def _lines(file):
    try:
        return file.read_text(encoding="utf-8").rstrip().split("\n")
    except UnicodeDecodeError:
        raise InputError(f"{file} is not a text file") from None
