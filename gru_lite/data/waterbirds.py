"""Waterbirds (Sagawa et al., 2020): birds cut out of CUB and pasted on land or water, most of them where they live.

Read from ROOT/waterbird_complete95_forest2water2/: metadata.csv with the columns img_id,img_filename,y,split,place,
place_filename, and the JPEGs that it lists, of any size. The paper forgets from the waterbirds on land.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from ..seeding import stream
from .downloads import check_download, pictures
from .rows import check_unique, numbers_of, read_table
from .waterdigits import waterdigits

FOLDER = "waterbird_complete95_forest2water2"
COLUMNS = ("img_id", "img_filename", "y", "split", "place", "place_filename")
NAMES = (("landbird", "waterbird"), ("land", "water"))


def load_waterbirds(root, image_size=None):
    """Return the Benchmark; see `gru_lite.load`."""
    root = check_download("waterbirds", root)
    rows = read_table(root / FOLDER / "metadata.csv", COLUMNS)
    for column in ("img_id", "img_filename"):
        check_unique(rows, column)
    rows = rows.assign(path=rows["img_filename"], target=numbers_of(rows, "y", {"0": 0, "1": 1}),
                       sensitive=numbers_of(rows, "place", {"0": 0, "1": 1}),
                       split=numbers_of(rows, "split", {"0": 0, "1": 1, "2": 2}))
    return pictures(root, root / FOLDER, rows, NAMES, image_size, name="waterbirds", default_groups=((1, 0),))


def write_example_tree(root, counts=((60, 6), (6, 40)), val_count=10, test_count=15, seed=0):
    """Write a tree in the format of the download, to try things on: WaterDigits as JPEGs of various sizes.

    Args:
        root: folder in which the folder of the data set is made.
        counts: 2 x 2 samples of each (target, sensitive) in train; a digit with a hole stands for a waterbird.
        val_count, test_count: samples of each group in validation and test.
        seed: integer >= 0.
    """
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
