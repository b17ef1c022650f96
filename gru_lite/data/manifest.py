"""Any folder of images with a CSV `path,target,sensitive,split`: your own data, with every row checked first."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from ..errors import InputError
from .dataset import Benchmark, GroupedDataset

COLUMNS = ("path", "target", "sensitive", "split")
SPLITS = ("train", "val", "test")


def load_manifest(file, image_size=None, progress=False):
    """Load images that a CSV lists, and return their Benchmark.

    Args:
        file: CSV with a header and the columns path (relative to the CSV, inside its folder), target and sensitive
            (whole numbers from 0, without gaps in train) and split (train, val or test); other columns are ignored.
        image_size: side in pixels; the short side is resized to it and the middle cut out. None: all images must
            have one size already.
        progress: show a progress bar while decoding.

    Returns:
        Benchmark with uint8 RGB images (N, 3, H, W).

    Raises:
        InputError: names the file and the row (as a spreadsheet counts: the header is row 1) and says what is wrong.
    """
    file = Path(file)
    rows = read_rows(file)
    decode = _Decoder(image_size)
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter lock
        tasks = pool.map(decode, rows["file"], rows["where"])
        images = list(tqdm(tasks, f"decoding {file.name}", len(rows), unit="image", disable=not progress))
    for where, image in zip(rows["where"], images):
        if image.shape != images[0].shape:
            sizes = [f"{a.shape[2]}x{a.shape[1]}" for a in (image, images[0])]
            raise InputError(f"{where}: the image is {sizes[0]}, the first is {sizes[1]}: name one size with image_size (flag --image-size)")
    images = np.stack(images)
    names = {what: tuple(map(str, range(rows[what].max() + 1))) for what in ("target", "sensitive")}
    parts = {}
    for split in SPLITS:
        mine = (rows["split"] == split).to_numpy()
        labels = (rows[what].to_numpy()[mine] for what in ("target", "sensitive"))
        parts[split] = GroupedDataset(*labels, names["target"], names["sensitive"], images=images[mine])
    return Benchmark(file.stem, **parts)


def train_positions(file):
    """Return {path as written: index in train}, to name samples to forget by their file."""
    rows = read_rows(Path(file))
    return {path: i for i, path in enumerate(rows.loc[rows["split"] == "train", "path"])}


def read_rows(file):
    """Read and check a manifest without decoding its images; adds the columns `file` (Path) and `where` (text)."""
    if file.is_dir():
        raise InputError(f"{file} is a folder: name the CSV in it, with the columns {', '.join(COLUMNS)}")
    if not file.is_file():
        raise InputError(f"{file} does not exist: give a CSV with the columns {', '.join(COLUMNS)}")
    try:
        # Blank lines are kept for the row numbers, and dropped below.
        rows = pd.read_csv(file, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except pd.errors.EmptyDataError:
        raise InputError(f"{file} is empty: its first row must be {','.join(COLUMNS)}") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not a readable CSV: {str(error).strip()}") from None
    if not isinstance(rows.index, pd.RangeIndex):
        raise InputError(f"{file}: its rows have more fields than its header: quote a path that holds a comma")
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise InputError(f"{file} has no column {missing[0]!r}: its columns are {', '.join(rows.columns)}; needed are {', '.join(COLUMNS)}")
    rows = rows[(rows[list(COLUMNS)] != "").any(axis=1)]
    if rows.empty:
        raise InputError(f"{file} has a header but no rows: list at least one image for each of train, val and test")
    folder = file.parent.resolve()
    files, where, first_row = [], [], {}
    for row in rows[list(COLUMNS)].itertuples():
        number = row.Index + 2
        at = f"{file} row {number}"
        path = folder / row.path
        try:
            inside = row.path and not Path(row.path).is_absolute() and path.resolve().is_relative_to(folder)
            exists = path.is_file()
        except (OSError, RuntimeError, ValueError) as error:  # too long a name, a loop of links, a null character
            raise InputError(f"{at}: path {row.path[:60]!r} cannot be read ({type(error).__name__})") from None
        if not inside:
            raise InputError(f"{at}: path {row.path!r} leaves the folder of the CSV: give a path relative to it, inside it")
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
            raise InputError(f"{at}: {row.path!r} is already in row {seen[0]}, so it is listed {said}: keep one of the rows")
        files.append(path)
        where.append(at)
    rows = rows[list(COLUMNS)].assign(file=files, where=where).astype({"target": np.int64, "sensitive": np.int64})
    for split in SPLITS:
        if not (rows["split"] == split).any():
            raise InputError(f"{file} has no row with split {split}: train, val and test are all needed")
    for what in ("target", "sensitive"):
        train, largest = set(rows.loc[rows["split"] == "train", what]), rows[what].max()
        gap = next(label for label in itertools.count() if label not in train)
        if gap <= largest:
            raise InputError(f"{file}: {what} {gap} never occurs in train, though {largest} is used: number from 0 without gaps")
        if largest == 0:
            raise InputError(f"{file}: {what} is 0 in every row: at least two different ones are needed to compare groups")
    return rows


class _Decoder:
    def __init__(self, size):
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 8):
            raise InputError(f"image size {size!r} is not a whole number of 8 or more pixels")
        self.size = size

    def __call__(self, path, where):
        try:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InputError(f"{where}: {path.name!r} is not a readable image ({error})") from None
        if self.size is None and min(image.size) < 8:
            raise InputError(f"{where}: the image is {image.width}x{image.height} pixels, too small: at least 8x8")
        if self.size is not None:
            scale = self.size / min(image.size)
            image = image.resize([max(self.size, round(side * scale)) for side in image.size], Image.Resampling.BILINEAR)
            left, top = ((side - self.size) // 2 for side in image.size)
            image = image.crop((left, top, left + self.size, top + self.size))
        return np.asarray(image).transpose(2, 0, 1)
