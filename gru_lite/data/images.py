"""Pictures from files, decoded by all cores at once; what cannot be read is named with its row."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from ..errors import InputError
from .cache import cached, is_kept, source

BLOCK = 32  # pictures of a task: few enough that a handful of blocks fits into any memory


def check_image_size(size: int | None) -> int | None:
    """Return `size` when it is None or a whole number of at least 8 pixels."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 8):
        raise InputError(f"image size {size!r} is not a whole number of 8 or more pixels")
    return size


class Decoder:
    """Maps a file to its picture, uint8 RGB (3, H, W), and its aspect, width / height.

    Args:
        size: side in pixels, or None for the picture as it is.
        squash: resize the whole picture to size x size; False: resize its short side and cut out the middle.
            Both average over what they shrink (PIL's BILINEAR).
    """

    def __init__(self, size=None, squash=False):
        self.size, self.squash = check_image_size(size), squash

    def __call__(self, path, where):
        try:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            name = os.path.basename(path)
            raise InputError(f"{where}: {name!r} is not a readable image ({error})") from None
        width, height = image.size
        if self.size is None and min(width, height) < 8:
            raise InputError(f"{where}: the image is {width}x{height} pixels, too small: at least 8x8")
        if self.squash:
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        elif self.size is not None:
            scale = self.size / min(image.size)
            sides = [max(self.size, round(side * scale)) for side in image.size]
            image = image.resize(sides, Image.Resampling.BILINEAR)
            left, top = ((side - self.size) // 2 for side in image.size)
            image = image.crop((left, top, left + self.size, top + self.size))
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)), width / height


def decode(rows: pd.DataFrame, decoder: Decoder, label: str, **bar) -> Iterator[dict[str, np.ndarray]]:
    """Yield the pictures of `rows` in order, in blocks: {"images": uint8 (B, 3, H, W), "aspect": float32
    (B,)}. `rows` has the columns `file` and `where` (text that names the row); `bar` are options of tqdm.

    Raises:
        InputError: at the end, for the first picture that cannot be read or has another size; says how many
            there are.
    """
    files, where = list(rows["file"]), list(rows["where"])

    def task(start):
        found = []
        for at in range(start, min(start + BLOCK, len(files))):
            try:
                found.append(decoder(files[at], where[at]))
            except InputError as error:
                found.append(error)
        return start, found

    bad, shape = [], None
    workers = joblib.cpu_count() + 2  # two more, for those that wait for the disk
    progress = tqdm(desc=label, total=len(files), unit="image", **bar)
    with ThreadPoolExecutor(workers) as pool, progress:
        starts = iter(range(0, len(files), BLOCK))
        # a few blocks ahead, not all of them: decoding may be faster than the disk
        waiting = deque(pool.submit(task, start) for start in islice(starts, 2 * workers))
        while waiting:
            start, found = waiting.popleft().result()
            waiting.extend(pool.submit(task, start) for start in islice(starts, 1))
            for at, picture in enumerate(found, start):
                if isinstance(picture, InputError):
                    bad.append(str(picture))
                    continue
                shape = shape or picture[0].shape
                if picture[0].shape != shape:
                    sizes = [f"{size[2]}x{size[1]}" for size in (picture[0].shape, shape)]
                    bad.append(
                        f"{where[at]}: the image is {sizes[0]}, the first is {sizes[1]}: "
                        "name one size with image_size (flag --image-size)"
                    )
            progress.update(len(found))
            if not bad:
                images, aspect = zip(*found)
                yield {"images": np.stack(images), "aspect": np.float32(aspect)}
    if bad:
        raise several(bad)


def kept_images(
    root: str | Path, name: str, folder: str | Path, rows: pd.DataFrame, decoder: Decoder, always: bool = True
) -> dict[str, np.memmap] | None:
    """Return {"images", "aspect"} of `rows` from the cache ROOT/.gru_lite/NAME-..., as `cached` does.

    Args:
        folder: what the column `path` of `rows` is relative to; other columns: file, where, split.
        always: False: None is returned where nothing was ever kept for this decoder.
    """
    options = {"size": decoder.size, "squash": decoder.squash}
    if not always and not is_kept(root, name, options):
        return None
    sources = _sources(folder, rows)
    return cached(root, name, options, sources, len(rows), lambda: decode(rows, decoder, f"decoding {name}"))


def _sources(folder, rows):
    """What the cache depends on, row by row; labels, read anew each time, may change without decoding."""
    found, missing = [], []
    for path, where, split in zip(*(rows[column].tolist() for column in ("path", "where", "split"))):
        try:
            found.append(source(os.path.join(folder, path), path, split))
        except (OSError, ValueError):
            missing.append(f"{where}: there is no file {path!r} in {folder}")
    if missing:
        raise several(missing)
    return found


def check_paths(folder: str | Path, rows: pd.DataFrame) -> None:
    """Refuse a path that leaves `folder`, as it is written; links inside it may lead elsewhere."""
    for path, where in zip(rows["path"].tolist(), rows["where"].tolist()):
        if not path or os.path.isabs(path) or ".." in path.replace("\\", "/").split("/"):
            raise InputError(f"{where}: path {path!r} leaves {folder}: it must be relative, without '..'")


def several(errors: list[str]) -> InputError:
    """Return the InputError of the first of some errors, which says how many there are."""
    return InputError(errors[0] + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""))
