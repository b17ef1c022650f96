"""Waterbirds (Sagawa et al., 2020): birds cut out of CUB and pasted on land or water, most of them where they
live.

Read from ROOT/waterbird_complete95_forest2water2/: metadata.csv with the columns
img_id,img_filename,y,split,place, place_filename, and the JPEGs that it lists, of any size. The paper forgets
from the waterbirds on land.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..seeding import stream
from .dataset import DatasetParts
from .downloads import check_download, pictures
from .registry import Source
from .rows import check_unique, numbers_of, read_table

FOLDER = "waterbird_complete95_forest2water2"
COLUMNS = ("img_id", "img_filename", "y", "split", "place", "place_filename")
NAMES = (("landbird", "waterbird"), ("land", "water"))
ABOUT = Source(
    "waterbirds",
    files=(f"{FOLDER}/metadata.csv",),
    origin="unpack https://nlp.stanford.edu/data/dro/waterbird_complete95_forest2water2.tar.gz there",
    default_groups=((1, 0),),
    # Sagawa et al. (2020)
    counts={
        "waterbirds": {
            "train": (3498, 184, 56, 1057),
            "val": (467, 466, 133, 133),
            "test": (2255, 2255, 642, 642),
        }
    },
    published="waterbirds",
)


def load(root: str | Path, image_size: int | None = None) -> DatasetParts:
    """Return train, val and test; see `gru_lite.load`."""
    root = check_download(ABOUT, root)
    rows = read_table(root / FOLDER / "metadata.csv", COLUMNS)
    for column in ("img_id", "img_filename"):
        check_unique(rows, column)
    rows = rows.assign(
        path=rows["img_filename"],
        target=numbers_of(rows, "y", {"0": 0, "1": 1}),
        sensitive=numbers_of(rows, "place", {"0": 0, "1": 1}),
        split=numbers_of(rows, "split", {"0": 0, "1": 1, "2": 2}),
    )
    return pictures(
        root, root / FOLDER, rows, NAMES, image_size, name="waterbirds", default_groups=ABOUT.default_groups
    )


def write_example_tree(
    root: str | Path,
    counts: tuple = ((60, 6), (6, 40)),
    val_count: int = 10,
    test_count: int = 15,
    seed: int = 0,
) -> None:
    """Write a tree in the format of the download, to try things on: WaterDigits as JPEGs of various sizes.

    Args:
        root: folder in which the folder of the data set is made.
        counts: 2 x 2 samples of each (target, sensitive) in train; a digit with a hole stands for a
            waterbird.
        val_count: samples of each group in validation.
        test_count: samples of each group in test.
        seed: integer >= 0.
    """
    from .waterdigits import waterdigits  # needs torch, which reading a download does not

    bench, rng = waterdigits(seed, counts, val_count, test_count), stream(seed, "example tree")
    lines = [",".join(COLUMNS)]
    for split, part in enumerate((bench.train, bench.val, bench.test)):
        for image, y, place in zip(part.images, part.target, part.sensitive):
            file = f"{y + 1:03}.{NAMES[0][y].capitalize()}/{NAMES[0][y].capitalize()}_{len(lines):04}.jpg"
            path = Path(root) / FOLDER / file
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
            picture.resize(rng.integers(96, 192, 2).tolist(), Image.Resampling.BICUBIC).save(path, quality=90)
            place_file = f"/{'lo'[place]}/{('land', 'ocean')[place]}/{len(lines):08}.jpg"
            lines.append(f"{len(lines)},{file},{y},{split},{place},{place_file}")
    (Path(root) / FOLDER / "metadata.csv").write_text("\n".join(lines) + "\n")
