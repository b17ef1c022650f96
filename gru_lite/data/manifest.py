"""Your own data: any folder of images with a CSV `path,target,sensitive,split`, every row checked first."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from .dataset import DatasetParts
from .downloads import in_parts, pictures
from .images import Decoder, decode, kept_images
from .rows import SPLITS, by_split, read_table

COLUMNS = ("path", "target", "sensitive", "split")


def load_manifest(
    file: str | Path, image_size: int | None = None, keep: bool = False, view: bool = False
) -> DatasetParts:
    """Load images that a CSV lists.

    Args:
        file: CSV with a header and the columns path (relative to the CSV, inside its folder), target and
            sensitive (whole numbers from 0, without gaps in train) and split (train, val or test); other
            columns are ignored.
        image_size: side in pixels. None: with a view 224; without, all images must have one size already.
        keep: keep the decoded images in the folder .gru_lite beside the CSV. Later calls with the same image
            size read them from there, whatever this says.
        view: the images are pictures for a model that was trained on photographs: each is kept whole and
            cropped at random in training, as those of the paper's data sets; and always kept. False: the
            short side is resized to image_size and the middle cut out.

    Returns:
        DatasetParts with uint8 RGB images (N, 3, H, W).

    Raises:
        InputError: names the file and the row (as a spreadsheet counts: the header is row 1) and says what is
            wrong.
    """
    file = Path(file)
    rows = read_rows(file)
    rows = rows.assign(split=rows["split"].map(SPLITS.index))
    names = [tuple(map(str, range(rows[what].max() + 1))) for what in ("target", "sensitive")]
    folder, kept = file.parent.resolve(), f"manifest-{file.stem}"
    if view:
        return pictures(
            file.parent, folder, rows, names, image_size, kept=kept, name=file.stem, default_groups=()
        )
    rows = by_split(rows, file)
    decoder = Decoder(image_size)
    arrays = kept_images(file.parent, kept, folder, rows, decoder, always=keep)
    if arrays is None:
        blocks = list(decode(rows, decoder, f"decoding {file.name}", disable=True))
        arrays = {"images": np.concatenate([block["images"] for block in blocks])}
    return in_parts(rows, names, {"images": arrays["images"]}, name=file.stem)


def train_positions(file: str | Path) -> dict[str, int]:
    """Return {path as written: index in train}, to name samples to forget by their file."""
    rows = read_rows(Path(file))
    return {path: i for i, path in enumerate(rows.loc[rows["split"] == "train", "path"])}


def read_rows(file: Path) -> pd.DataFrame:
    """Read and check a manifest, images not decoded, and add the columns `file` (Path) and `where` (text)."""
    if file.is_dir():
        raise InputError(f"{file} is a folder: name the CSV in it, with the columns {', '.join(COLUMNS)}")
    if not file.is_file():
        raise InputError(f"{file} does not exist: give a CSV with the columns {', '.join(COLUMNS)}")
    rows = read_table(file, COLUMNS)
    if rows.empty:
        raise InputError(
            f"{file} has a header but no rows: list at least one image for each of train, val and test"
        )
    folder = file.parent.resolve()
    files, first_row = [], {}
    for row in rows.itertuples():
        number, at = row.Index + 2, row.where
        path = folder / row.path
        try:
            inside = row.path and not Path(row.path).is_absolute() and path.resolve().is_relative_to(folder)
            exists = path.is_file()
        # Too long a name, a loop of links, a null character.
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"{at}: path {row.path[:60]!r} cannot be read ({type(error).__name__})"
            ) from None
        if not inside:
            raise InputError(
                f"{at}: path {row.path!r} leaves the folder of the CSV: give a path relative to it, inside it"
            )
        if not exists:
            raise InputError(f"{at}: there is no file {row.path!r} in {file.parent}")
        for what in ("target", "sensitive"):
            value = getattr(row, what)
            if not (value.isascii() and value.isdigit() and len(value) < 10):
                raise InputError(f"{at}: {what} {value!r} is not a whole number of 0 or more")
        if row.split not in SPLITS:
            raise InputError(f"{at}: unknown split {row.split!r}: write train, val or test")
        seen = first_row.setdefault(path.resolve(), (number, row))
        if seen[0] != number:
            what = next((c for c in COLUMNS[1:] if getattr(seen[1], c) != getattr(row, c)), None)
            said = f"as {what} {getattr(seen[1], what)} and {getattr(row, what)}" if what else "twice"
            raise InputError(
                f"{at}: {row.path!r} is already in row {seen[0]}, "
                f"so it is listed {said}: keep one of the rows"
            )
        files.append(path)
    rows = rows.assign(file=files).astype({"target": np.int64, "sensitive": np.int64})
    for split in SPLITS:
        if not (rows["split"] == split).any():
            raise InputError(f"{file} has no row with split {split}: train, val and test are all needed")
    for what in ("target", "sensitive"):
        train, largest = set(rows.loc[rows["split"] == "train", what]), rows[what].max()
        gap = next(label for label in itertools.count() if label not in train)
        if gap <= largest:
            raise InputError(
                f"{file}: {what} {gap} never occurs in train, though "
                f"{largest} is used: number from 0 without gaps"
            )
        if largest == 0:
            raise InputError(
                f"{file}: {what} is 0 in every row: at least two different ones are needed to compare groups"
            )
    return rows
