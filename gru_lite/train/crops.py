"""Views of pictures: crops of a whole batch are resampled by two matrix products."""

from __future__ import annotations

import numpy as np
import torch

from ..data.dataset import View

SCALE, RATIO, TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10  # of torchvision's RandomResizedCrop


def resample(images: torch.Tensor, windows: torch.Tensor, size: int, cropped: bool = False) -> torch.Tensor:
    """Resize a window of each image to size x size: bilinear with antialiasing.

    A row of the result is a weighted mean of a few rows of the image, so that resizing is a product with a
    matrix for each image. Measured on photographs in arrays of 256 pixels, against torchvision's antialiased
    crops to 224, in levels of 255: 0.001 at most; `grid_sample` is off by up to 22 (whole images: 0.5 on
    average) and `torchvision.ops.roi_align` by up to 26 (0.35), which changes logits. On one core this takes
    6% of the forward pass of ResNet-18, those 2 and 5%.

    Args:
        images: uint8 (B, C, H, W).
        windows: float32 (B, 4) or (1, 4), top, left, height and width in pixels of the array; a negative
            width, with left at the right edge, flips the image.
        size: side of the result in pixels.
        cropped: the filter sees nothing outside of the window (crop, then resize); else it does (resize, then
            crop).

    Returns:
        float32 (B, C, size, size) in [0, 255], channels_last.
    """
    (batch, channels, height, width), (top, left, high, wide) = images.shape, windows.unbind(1)
    across = _weights(left, wide, width, size, cropped).expand(batch, -1, -1)
    rows = torch.bmm(images.reshape(batch, channels * height, width).float(), across.mT)
    rows = rows.view(batch, channels, height, size)
    down = _weights(top, high, height, size, cropped).expand(batch, -1, -1)
    return torch.stack([torch.bmm(down, rows[:, c]) for c in range(channels)], -1).permute(0, 3, 1, 2)


def _weights(start, length, n_in, n_out, cropped):
    """(B, n_out, n_in): the share of each input pixel in each output pixel, a triangle around its centre."""
    scale = (length / n_out)[:, None]
    centre = start[:, None] + (torch.arange(n_out, device=start.device) + 0.5) * scale
    pixel = torch.arange(n_in, device=start.device) + 0.5
    weights = (1 - (pixel - centre[..., None]).abs() / scale.abs().clamp_min(1)[..., None]).clamp_min_(0)
    if cropped:
        ends = torch.stack([start, start + length], 1)
        weights *= ((pixel > ends.amin(1, True).floor()) & (pixel < ends.amax(1, True).ceil()))[:, None]
    return weights / weights.sum(-1, keepdim=True)


def picture_sizes(shape: tuple, aspect: np.ndarray | None, short: int, whole=np.round) -> np.ndarray:
    """Return height and width of pictures in pixels when their short side is `short`: (N, 2), or (1, 2)
    without aspect.

    `aspect` is (N,) width / height of each, or None for that of the array, whose (height, width) are `shape`;
    `whole` rounds a length to whole pixels.
    """
    height, width = shape
    aspect = np.array([width / height]) if aspect is None else aspect.astype(np.float64)
    # float32 must not turn 400 pixels into 399.99998
    return whole(short * np.stack([np.maximum(1, 1 / aspect), np.maximum(1, aspect)], 1) + 1e-3)


def evaluation_windows(shape: tuple, aspect: np.ndarray | None, view: View) -> np.ndarray:
    """Return what `view` shows of the pictures, in pixels of the array: float32 (N, 4) or (1, 4).

    Rounded as torchvision's Resize and CenterCrop round.
    """
    if view.resize is None:
        return np.array([[0, 0, *shape]], dtype=np.float32)
    sizes = picture_sizes(shape, aspect, view.resize, np.floor)
    corner = np.round((sizes - view.size) / 2)
    window = np.hstack([corner, np.full_like(corner, view.size)]) * np.tile(np.array(shape) / sizes, 2)
    return window.astype(np.float32)


def random_crops(sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw torchvision's RandomResizedCrop: float64 (n, 4), top, left, height and width, of pictures of
    `sizes` (n, 2), height and width in pixels.

    Ten tries of an area and a ratio; where no box fits, the largest central one with a ratio that is allowed.
    """
    height, width = sizes.T
    area = rng.uniform(*SCALE, (len(sizes), TRIES)) * (height * width)[:, None]
    ratio = np.exp(rng.uniform(*np.log(RATIO), (len(sizes), TRIES)))
    wide, high = np.round(np.sqrt(area * ratio)), np.round(np.sqrt(area / ratio))
    fits = (0 < wide) & (wide <= width[:, None]) & (0 < high) & (high <= height[:, None])
    first, found = (np.arange(len(sizes)), fits.argmax(1)), fits.any(1)
    high = np.where(found, high[first], np.minimum(height, np.round(width / RATIO[0])))
    wide = np.where(found, wide[first], np.minimum(width, np.round(height * RATIO[1])))
    box = np.stack([high, wide], 1)
    room = sizes - box
    corner = np.where(found[:, None], np.floor(rng.random(sizes.shape) * (room + 1)), room // 2)
    return np.hstack([corner, box])
