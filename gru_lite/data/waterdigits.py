"""WaterDigits: real handwriting on land or water, in the shape of Waterbirds, generated in about a second.

scikit-learn's 1,797 scanned digits are drawn at 32x32 over procedural texture. Target: has the digit a hole
(0, 6, 8, 9), or not? Sensitive attribute: the background. Most digits with a hole are on water and most
others on land, so a model can read the background instead of the digit; the two small groups show whether it
does. No glyph is shared between train, validation and test.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from ..errors import InputError
from ..seeding import stream, torch_stream
from .dataset import DatasetParts, GroupedDataset

SIZE = 32
HOLES = (0, 6, 8, 9)
TARGETS = ("no hole", "hole")
BACKGROUNDS = ("land", "water")
TRAIN_COUNTS = ((2100, 180), (180, 1540))  # (target, sensitive)
# A larger request and a larger test set: the same images, and scores that vary less from seed to seed.
LARGE = {"train_counts": ((2100, 180), (600, 1540)), "val_count": 400, "test_count": 1500}
# For a trial: an epoch in a fraction of a second.
SMALL = {"train_counts": ((210, 60), (60, 150)), "val_count": 40, "test_count": 60}
# RGB of land and water, each pulled halfway to their mean: at full strength the background drowns the digit
COLOURS = torch.tensor([[0.41, 0.49, 0.38], [0.34, 0.46, 0.52]])


def waterdigits(
    seed: int = 0, train_counts: tuple = TRAIN_COUNTS, val_count: int = 200, test_count: int = 600
) -> DatasetParts:
    """Generate the benchmark.

    Args:
        seed: integer >= 0.
        train_counts: 2 x 2 samples of each (target, sensitive) in train.
        val_count: samples of each group in validation.
        test_count: samples of each group in test.

    Returns:
        train, val and test, whose images are uint8 (N, 3, 32, 32); `source` is the scanned digit an image was
        drawn from.
    """
    parts = _drawn_parts(
        lambda digit: np.isin(digit, HOLES).astype(int), render, (TARGETS, BACKGROUNDS),
        (train_counts, val_count, test_count), seed,
    )  # fmt: skip
    return DatasetParts("waterdigits", **parts, default_groups=((1, 0),))


def waterdigits_large(seed: int = 0) -> DatasetParts:
    """Generate the benchmark with the counts of LARGE: methods are told apart on it, see `waterdigits`."""
    return replace(waterdigits(seed, **LARGE), name="waterdigits_large")


def waterdigits_small(seed: int = 0) -> DatasetParts:
    """Generate the benchmark with the counts of SMALL: to see that code runs; its numbers mean nothing."""
    return replace(waterdigits(seed, **SMALL), name="waterdigits_small")


def drawn_again(dataset: GroupedDataset, background: np.ndarray, seed: int, part: str = "test") -> np.ndarray:
    """Draw the images of a part once more: the same digits, strokes and noise on other backgrounds.

    Args:
        dataset: the train, val or test set of `waterdigits(seed)`, or of the large or small one.
        background: (N,) 0 land, 1 water; with `dataset.sensitive` the images come out as they are.
        seed: of the benchmark.
        part: "train", "val" or "test".

    Returns:
        uint8 images (N, 3, 32, 32).
    """
    glyphs, _ = _scans()
    return render(
        glyphs[dataset.source], torch.from_numpy(np.asarray(background)), torch_stream(seed, "pixels", part)
    )


def as_edges(bench: DatasetParts) -> DatasetParts:
    """Return the benchmark with 131 numbers in the place of each picture, for an `mlp` that trains fast.

    They are the mean strength of horizontal and of vertical edges on a grid of 8 x 8 (the absolute difference
    of the grey values on both sides of a pixel), and the mean of red, green and blue. Each is standardised by
    its mean and standard deviation in train.

    Args:
        bench: an embedded benchmark of pictures.

    Returns:
        the same samples with `features` float32 (N, 131), by the name of the benchmark and "_edges".

    Raises:
        InputError: a benchmark without pictures of 32 x 32 pixels.
    """
    if bench.train.images is None or bench.train.images.shape[1:] != (3, SIZE, SIZE):
        raise InputError(
            f"{bench.name} has no pictures of {SIZE} x {SIZE} pixels: give waterdigits or inkdigits"
        )
    parts = {name: _edges(getattr(bench, name).images) for name in ("train", "val", "test")}
    mean, spread = parts["train"].mean(axis=0), parts["train"].std(axis=0)
    made = {
        name: replace(getattr(bench, name), images=None, features=(numbers - mean) / spread)
        for name, numbers in parts.items()
    }
    return replace(bench, name=f"{bench.name}_edges", **made)


def _edges(images):
    """Pictures uint8 (N, 3, 32, 32) as float32 (N, 131)."""
    pixels = images.astype(np.float32) / 255
    grey = np.pad(pixels.mean(axis=1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    across, down = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2], grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    pooled = [np.abs(each).reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)) for each in (across, down)]
    numbers = [each.reshape(len(each), -1) for each in pooled]
    return np.concatenate([*numbers, pixels.mean(axis=(2, 3))], axis=1)


def _drawn_parts(target_of, draw, names, counts, seed, **options):
    """{"train", "val", "test"} of a benchmark that draws the scanned digits.

    `target_of` gives the target of each digit, and `draw` is as `render`. `counts` has the Y x S samples of
    train, and those of each group in validation and in test; `options` are of GroupedDataset.
    """
    glyphs, digit = _scans()
    target_of_glyph, (train, *others) = target_of(digit), counts
    alike = [np.full((len(names[0]), len(names[1])), count) for count in others]
    parts = {}
    for (part, pool), table in zip(_split_glyphs(digit, seed).items(), (train, *alike), strict=True):
        source, target, sensitive = _samples(pool, target_of_glyph, table, seed, part)
        images = draw(glyphs[source], torch.from_numpy(sensitive), torch_stream(seed, "pixels", part))
        parts[part] = GroupedDataset(target, sensitive, *names, images=images, source=source, **options)
    return parts


def _scans():
    """scikit-learn's 1,797 scanned digits, float (N, 8, 8) in [0, 1], and which digit each is."""
    digits = load_digits()
    return torch.from_numpy(digits.images).float().div_(16), digits.target


def _split_glyphs(digit, seed):
    """60/15/25 % of the glyphs of each digit for train, validation and test."""
    pools = {"train": [], "val": [], "test": []}
    for d in range(10):
        members = stream(seed, "glyphs", d).permutation(np.flatnonzero(digit == d))
        first, second = int(0.60 * len(members)), int(0.75 * len(members))
        for part, chosen in zip(pools, np.split(members, [first, second])):
            pools[part].append(chosen)
    return {part: np.sort(np.concatenate(chosen)) for part, chosen in pools.items()}


def _samples(pool, target_of, counts, seed, part):
    """(glyph, target, sensitive), each int64 (N,) in random order, of a part with `counts` (Y, S) samples.

    `pool` has the glyphs of the part, and `target_of` (n_glyphs,) the target of each glyph.
    """
    rng = stream(seed, "samples", part)
    source, target, sensitive = [], [], []
    for y, row in enumerate(counts):
        members = pool[target_of[pool] == y]
        for s, n in enumerate(row):
            # Every glyph equally often.
            passes = [rng.permutation(members) for _ in range(max(1, -(-n // len(members))))]
            source.append(np.concatenate(passes)[:n])
            target.append(np.full(n, y))
            sensitive.append(np.full(n, s))
    order = rng.permutation(sum(map(len, source)))
    return tuple(np.concatenate(column)[order] for column in (source, target, sensitive))


def render(glyphs: torch.Tensor, background: torch.Tensor, rng: torch.Generator) -> np.ndarray:
    """Draw glyphs over backgrounds; every property varies from image to image.

    Args:
        glyphs: float (N, 8, 8) in [0, 1].
        background: int64 (N,), 0 land, 1 water.
        rng: the same draws with another background give the same strokes on it.

    Returns:
        uint8 images (N, 3, 32, 32).
    """
    n = len(glyphs)
    uniform = _uniform(n, rng)
    ink, threshold = _turned(glyphs, uniform, degrees=10, shift=0.2)
    stroke = torch.sigmoid((ink - threshold) / 0.06)

    stroke = _tinted(stroke, 0.6, uniform, rng)
    image = COLOURS[background][:, :, None, None] + 0.06 * torch.randn(n, 3, 1, 1, generator=rng)
    image = image + 0.08 * _texture(background, rng) + stroke
    return _as_bytes(image)


def _uniform(n, rng):
    """A function that draws (n, *shape) uniform numbers."""
    return lambda low, high, *shape: torch.rand(n, *shape, generator=rng) * (high - low) + low


def _turned(glyphs, uniform, degrees, shift):
    """Glyphs (N, 8, 8) at a random angle, size and place, (N, 1, 32, 32); and which level is ink.

    The level sets the width of the stroke. `shift` is in halves of the width: the grid runs from -1 to 1.
    """
    ink = F.interpolate(glyphs[:, None], size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    angle, scale = torch.deg2rad(uniform(-degrees, degrees)), uniform(0.75, 1.15)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    place = uniform(-shift, shift, 2)
    rows = [torch.stack([cos, -sin, place[:, 0]], 1), torch.stack([sin, cos, place[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(ink.shape), align_corners=False)
    return F.grid_sample(ink, grid, align_corners=False), uniform(0.35, 0.60, 1, 1, 1)


def _tinted(stroke, contrast, uniform, rng):
    """What strokes (N, 1, 32, 32) add to a picture: darker or lighter, tinted, (N, 3, 32, 32)."""
    sign = (torch.rand(len(stroke), 1, 1, 1, generator=rng) < 0.5).float() * 2 - 1
    tint = uniform(0.6, 1.4, 3, 1, 1)
    return stroke * sign * tint * (contrast * uniform(0.6, 1.4, 1, 1, 1))


def _as_bytes(image):
    """Images of [0, 1], cut off there, as uint8; `image` is changed."""
    return image.clamp_(0, 1).mul_(255).round_().to(torch.uint8).numpy()


def _texture(background, rng):
    """Smooth noise in two octaves, (N, 1, 32, 32): streaks along the height for land, the width for water."""
    n, is_land = len(background), (background == 0)[:, None, None, None]
    total = torch.zeros(n, 1, SIZE, SIZE)
    for octave, amplitude in ((1, 1.0), (2, 0.5)):
        noise = torch.randn(n, 1, 3 * octave, 12 * octave, generator=rng)
        streaks = F.interpolate(noise, size=(SIZE, SIZE), mode="bicubic", align_corners=False)
        total += amplitude * torch.where(is_land, streaks, streaks.transpose(2, 3))
    return total
