"""Randomness comes from named streams: one seed gives separate, reproducible streams for the data, F and
training.

A stream depends only on the seed and its path, e.g. `stream(0, "order", 3)`, so the fourth pass over the data
is the same whether or not the run was interrupted before it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    import torch


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """Return the numpy Generator of one stream of a seed, named by a path of strings and integers >= 0."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed {seed!r} is not an integer of 0 or more")
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else int(part) for part in path]
    return np.random.default_rng([int(seed), *words])


def torch_stream(seed: int, *path: str | int) -> torch.Generator:
    """Return the CPU torch Generator of the same stream."""
    import torch  # here: groups, which draw with numpy alone, need not wait for it

    return torch.Generator().manual_seed(int(stream(seed, *path).integers(2**63)))


def further_seed(seed: int, number: int = 1) -> int:
    """Return a seed whose streams are apart from those of `seed`, for a further training of the same run.

    Args:
        seed: integer >= 0 of the run.
        number: 0 is `seed` itself, 1 the ceiling, k the k-th reference.
    """
    return seed + (number << 32)
