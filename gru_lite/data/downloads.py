"""What the loaders of the paper's data sets share: where downloads come from, checks of their rows, published counts."""

import os
import sys
from pathlib import Path

from ..errors import InputError
from .dataset import Benchmark, GroupedDataset, View
from .images import Decoder, check_image_size, check_paths, kept_images
from .rows import SPLITS, by_split, split_slices

SIDE = 256  # pictures are kept at this short side, as the paper's evaluation resizes them, for a view of VIEW pixels
VIEW = 224
# What has to lie in ROOT, and where it comes from.
NEEDED = {
    "waterbirds": (["waterbird_complete95_forest2water2/metadata.csv"],
                   "unpack https://nlp.stanford.edu/data/dro/waterbird_complete95_forest2water2.tar.gz there"),
    "celeba": (["celeba/img_align_celeba/", "celeba/list_attr_celeba.txt", "celeba/list_eval_partition.txt"],
               "take them (Align&Cropped Images, Anno, Eval) from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"),
    "fairface": (["fairface/fairface_label_train.csv", "fairface/fairface_label_val.csv", "fairface/train/", "fairface/val/"],
                 "take them (pictures of margin 0.25, labels of train and validation) from https://github.com/joojs/fairface"),
    "multinli": (["multinli_1.0/multinli_1.0_train.jsonl", "multinli_1.0/multinli_1.0_dev_matched.jsonl",
                  "multinli_1.0/multinli_1.0_dev_mismatched.jsonl", "multinli_1.0/metadata_random.csv"],
                 "unpack https://cims.nyu.edu/~sbowman/multinli/multinli_1.0.zip there, and put dataset_metadata/multinli/"
                 "metadata_random.csv of https://github.com/kohpangwei/group_DRO beside its files"),
}
# Samples of each group in the order of group ids (Sagawa et al., 2020), where they are published.
PUBLISHED = {
    "waterbirds": {"train": (3498, 184, 56, 1057), "val": (467, 466, 133, 133), "test": (2255, 2255, 642, 642)},
    "celeba-blond_hair": {"train": (71629, 66874, 22880, 1387), "val": (8535, 8276, 2874, 182),
                          "test": (9767, 7535, 2480, 180)},
    "multinli": {"train": (57498, 11158, 67376, 1521, 66630, 1992), "val": (22814, 4634, 26949, 613, 26655, 797),
                 "test": (34597, 6655, 40496, 886, 39930, 1148)},
}

# All samples of a split, where those of its groups are not published: CelebA's splits are the same for every target.
PUBLISHED_SIZES = {"celeba-attractive": {split: sum(counts) for split, counts in PUBLISHED["celeba-blond_hair"].items()}}


def check_download(name, root):
    """Return `root` as a Path, or say in one line what is missing in it and where to get it."""
    if root is None:
        raise InputError(f"{name} lies on disk: name the folder of the download with root (flag --root)")
    root, (needed, how) = Path(root), NEEDED[name]
    missing = [path for path in needed if not ((root / path).is_dir() if path.endswith("/") else (root / path).is_file())]
    if missing:
        raise InputError(f"{root} lacks {', '.join(missing)} of {name}: {how}")
    return root


def pictures(root, folder, rows, names, image_size=None, shape=None, crop=True, kept=None, **about):
    """Return the Benchmark of the pictures that `rows` list, from their cache.

    Args:
        root: of the data set. folder: what the paths of `rows` are relative to.
        rows: DataFrame with path, where, target, sensitive and split (0, 1, 2); it may be in any order.
        names: (target_names, sensitive_names).
        image_size: side of the view in pixels; None for the paper's 224.
        shape: (width, height) that all pictures have: they are kept so, unless the view needs smaller ones. None: they
            are squashed to one square, and remember their aspect.
        crop: False: the view is the whole picture, squashed.
        kept: name of the cache, which several targets may share; None for that of the Benchmark.
        about: of the Benchmark: name, default_groups; of its parts: joint.
    """
    size = VIEW if check_image_size(image_size) is None else image_size
    side = round(size * SIDE / VIEW)
    check_paths(folder, rows)
    rows = by_split(rows.assign(file=[os.path.join(folder, path) for path in rows["path"].tolist()]), about["name"])
    decoder = Decoder() if shape and side >= min(shape) else Decoder(side, squash=True)
    arrays = dict(kept_images(root, kept or about["name"], folder, rows, decoder))
    if not decoder.squash:
        del arrays["aspect"]  # the array's own
    return benchmark(rows, names, arrays, view=View(size, side if crop else None), **about)


def benchmark(rows, names, arrays, name, default_groups, **common):
    """Return the Benchmark whose splits are slices of `arrays`, in the order of `rows`."""
    parts = {}
    for split, mine in split_slices(rows):
        labels = (rows[what].to_numpy()[mine] for what in ("target", "sensitive"))
        parts[split] = GroupedDataset(*labels, *names, **{key: array[mine] for key, array in arrays.items()}, **common)
    return Benchmark(name, **parts, default_groups=default_groups)


def _published(name):
    """{split: published samples of each group and then of all}; None where a number is not published."""
    found = {split: (*counts, sum(counts)) for split, counts in PUBLISHED.get(name, {}).items()}
    return found or {split: (*[None] * 4, size) for split, size in PUBLISHED_SIZES.get(name, {}).items()}


def group_table(bench):
    """Return the samples of each group and split, and of all, as text, beside the published ones where they are known."""
    published = _published(bench.name)
    names = [f"{divmod(g, bench.train.n_sensitive)} {group}" for g, group in enumerate(bench.group_names)] + ["all"]
    width = max(map(len, names)) + 1
    lines = [" " * width + "".join(f"{split:>8}" + (f"{'published':>11}" if published else "") for split in SPLITS)]
    for g, name in enumerate(names):
        cells = [f"{_counts(bench, split)[g]:8}" + (f"{published[split][g] or '-':>11}" if published else "") for split in SPLITS]
        lines.append(f"{name:{width}}{''.join(cells)}")
    return "\n".join(lines)


def _counts(bench, split):
    part = getattr(bench, split)
    return *part.group_counts, len(part)


def warn_of_counts(bench):
    """Say on stderr where the groups, or all samples, are not as many as published."""
    other = [split for split, counts in _published(bench.name).items()
             if any(theirs not in (None, ours) for ours, theirs in zip(_counts(bench, split), counts))]
    if other:
        print(f"gru-lite: warning: the groups of {bench.name} differ from the published counts in {', '.join(other)}: "
              "is the download complete?", file=sys.stderr)
