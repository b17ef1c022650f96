"""What the loaders of data sets on disk share: required files, pictures and their views, published counts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd

from ..errors import InputError
from . import registry
from .dataset import DatasetParts, GroupedDataset, View
from .images import Decoder, check_image_size, check_paths, kept_images
from .rows import SPLITS, by_split, split_slices

# Pictures are kept at the short side SIDE, as the paper's evaluation resizes them, for a view of VIEW pixels.
SIDE = 256
VIEW = 224


def check_download(about: registry.Source, root: str | Path | None) -> Path:
    """Return `root` as a Path, or say in one line what is missing in it and where to get it."""
    if root is None:
        raise InputError(
            f"{about.name} lies on disk: name the folder of the download with root (flag --root): "
            f"{about.origin}"
        )
    root = Path(root)
    exists = {path: Path.is_dir if path.endswith("/") else Path.is_file for path in about.files}
    missing = [path for path in about.files if not exists[path](root / path)]
    if missing:
        raise InputError(f"{root} lacks {', '.join(missing)} of {about.name}: {about.origin}")
    return root


def pictures(
    root: Path,
    folder: Path,
    rows: pd.DataFrame,
    names: tuple,
    image_size: int | None = None,
    shape: tuple[int, int] | None = None,
    crop: bool = True,
    kept: str | None = None,
    **about,
) -> DatasetParts:
    """Return the three parts of the pictures that `rows` list, from their cache.

    Args:
        root: of the data set; its folder .gru_lite holds the cache.
        folder: what the paths of `rows` are relative to.
        rows: DataFrame with path, where, target, sensitive and split (0, 1, 2); it may be in any order.
        names: (target_names, sensitive_names).
        image_size: side of the view in pixels; None for the paper's 224.
        shape: (width, height) that all pictures have: they are kept so, unless the view needs smaller ones.
            None: they are squashed to one square, and remember their aspect.
        crop: False: the view is the whole picture, squashed.
        kept: name of the cache, which several targets may share; None for that of the data set.
        about: of the data set: name, default_groups; of its parts: joint.
    """
    size = VIEW if check_image_size(image_size) is None else image_size
    side = round(size * SIDE / VIEW)
    check_paths(folder, rows)
    files = [os.path.join(folder, path) for path in rows["path"].tolist()]
    rows = by_split(rows.assign(file=files), about["name"])
    decoder = Decoder() if shape and side >= min(shape) else Decoder(side, squash=True)
    arrays = dict(kept_images(root, kept or about["name"], folder, rows, decoder))
    if not decoder.squash:
        del arrays["aspect"]  # the array's own
    return in_parts(rows, names, arrays, view=View(size, side if crop else None), **about)


def in_parts(
    rows: pd.DataFrame, names: tuple, arrays: dict, name: str, default_groups: tuple = (), **common
) -> DatasetParts:
    """Return train, val and test as slices of `arrays`, {field of GroupedDataset: array in order of `rows`}.

    `rows` have target and sensitive and are sorted by split; `names` are (target_names, sensitive_names);
    `common` are further fields of every part.
    """
    parts = {}
    for split, mine in split_slices(rows):
        labels = (rows[what].to_numpy()[mine] for what in ("target", "sensitive"))
        inputs = {key: array[mine] for key, array in arrays.items()}
        parts[split] = GroupedDataset(*labels, *names, **inputs, **common)
    return DatasetParts(name, **parts, default_groups=default_groups)


def _published(bench):
    """{split: published samples of each group and then of all}; None where a number is not published."""
    name, n_groups = bench.name, len(bench.group_names)
    found = {}
    for about in map(registry.source, registry.DATASETS):
        found |= {split: (*[None] * n_groups, size) for split, size in about.sizes.get(name, {}).items()}
        found |= {split: (*counts, sum(counts)) for split, counts in about.counts.get(name, {}).items()}
    return found


def group_table(bench: DatasetParts) -> str:
    """Return the samples of each group and split, as text, beside the published ones where they are known."""
    published = _published(bench)
    names = [f"{divmod(g, bench.train.n_sensitive)} {group}" for g, group in enumerate(bench.group_names)]
    names.append("all")
    width, beside = max(map(len, names)) + 1, f"{'published':>11}" if published else ""
    lines = [" " * width + "".join(f"{split:>8}{beside}" for split in SPLITS)]
    for g, name in enumerate(names):
        cells = [
            f"{_counts(bench, split)[g]:8}" + (f"{published[split][g] or '-':>11}" if published else "")
            for split in SPLITS
        ]
        lines.append(f"{name:{width}}{''.join(cells)}")
    return "\n".join(lines)


def _counts(bench, split):
    part = getattr(bench, split)
    return *part.group_counts, len(part)


def warn_of_counts(bench: DatasetParts) -> None:
    """Say on stderr where the groups, or all samples, are not as many as published."""
    other = [
        split
        for split, counts in _published(bench).items()
        if any(theirs not in (None, ours) for ours, theirs in zip(_counts(bench, split), counts))
    ]
    if other:
        print(
            f"gru-lite: warning: the groups of {bench.name} differ from the published counts in "
            f"{', '.join(other)}: is the download complete?",
            file=sys.stderr,
        )
