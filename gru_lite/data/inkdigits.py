"""InkDigits: real handwriting in four inks, twenty groups for requests of many groups at once.

scikit-learn's 1,797 scanned digits are drawn at 32x32 on grainy paper. Target: the digit modulo 5, so each
has two digits. Sensitive attribute: the ink. Three targets have one common ink in train, and two share one.
A group needs images of its own: a digit in one ink has other edges than the same digit in another. No glyph
is shared between train, validation and test.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from .dataset import DatasetParts
from .waterdigits import SIZE, _as_bytes, _drawn_parts, _tinted, _turned, _uniform, as_edges

TARGETS = tuple(f"{y} or {y + 5}" for y in range(5))
INKS = ("pen", "outline", "chalk", "hatching")
# (target, sensitive): the common ink of target y is number y modulo 4
TRAIN_COUNTS = tuple(tuple(420 if s == y % 4 else 120 for s in range(4)) for y in range(5))


def inkdigits(
    seed: int = 0, train_counts: tuple = TRAIN_COUNTS, val_count: int = 60, test_count: int = 250
) -> DatasetParts:
    """Generate the benchmark.

    Args:
        seed: integer >= 0.
        train_counts: 5 x 4 samples of each (target, sensitive) in train.
        val_count: samples of each group in validation.
        test_count: samples of each group in test.

    Returns:
        train, val and test, whose images are uint8 (N, 3, 32, 32); `source` is the scanned digit an image was
        drawn from.
    """
    counts = train_counts, val_count, test_count
    parts = _drawn_parts(lambda digit: digit % 5, render, (TARGETS, INKS), counts, seed, joint=" in ")
    return DatasetParts("inkdigits", **parts, default_groups=((0, 0),))


def inkdigits_edges(seed: int = 0) -> DatasetParts:
    """Generate the benchmark with 131 numbers for each picture, see `waterdigits.as_edges`: it trains in a
    second.
    """
    return as_edges(inkdigits(seed))


def render(glyphs: torch.Tensor, ink: torch.Tensor, rng: torch.Generator) -> np.ndarray:
    """Draw glyphs in their inks; every property varies from image to image.

    Args:
        glyphs: float (N, 8, 8) in [0, 1].
        ink: int64 (N,), number in INKS.
        rng: the same draws with another ink give the same strokes in it.

    Returns:
        uint8 images (N, 3, 32, 32).
    """
    n = len(glyphs)
    uniform = _uniform(n, rng)
    level, threshold = _turned(glyphs, uniform, degrees=20, shift=0.3)
    pen = torch.sigmoid((level - threshold) / 0.06)
    outline = torch.exp(-(((level - threshold) / 0.12) ** 2))
    chalk = pen * torch.sigmoid(_noise(n, 16, rng) / 0.2)
    diagonal = (torch.arange(SIZE)[:, None] + torch.arange(SIZE)) * (2 * torch.pi / 6)  # a line in 6 pixels
    hatching = pen * torch.sigmoid(torch.sin(diagonal + uniform(0, 2 * torch.pi, 1, 1, 1)) / 0.3)
    stroke = torch.stack([pen, outline, chalk, hatching])[ink, torch.arange(n)]

    stroke = _tinted(stroke, 0.5, uniform, rng)
    image = 0.45 + 0.06 * torch.randn(n, 3, 1, 1, generator=rng) + 0.1 * _noise(n, 8, rng)
    return _as_bytes(image + stroke)


def _noise(n, grid, rng):
    """Smooth noise (n, 1, 32, 32) from a grid of normal numbers."""
    noise = torch.randn(n, 1, grid, grid, generator=rng)
    return F.interpolate(noise, size=(SIZE, SIZE), mode="bicubic", align_corners=False)
