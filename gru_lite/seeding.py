"""Randomness comes from named streams: one seed gives separate, reproducible streams for the data, F and training.

A stream depends only on the seed and its path, e.g. `stream(0, "order", 3)`, so the fourth pass over the data is the
same whether or not the run was interrupted before it.
"""

import zlib

import numpy as np
import torch

from .errors import InputError


def stream(seed, *path):
    """Return the numpy Generator of the stream `path` (strings or integers >= 0) of `seed` (an integer >= 0)."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed {seed!r} is not an integer of 0 or more")
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else int(part) for part in path]
    return np.random.default_rng([int(seed), *words])


def torch_stream(seed, *path):
    """Return the CPU torch Generator of the same stream."""
    return torch.Generator().manual_seed(int(stream(seed, *path).integers(2**63)))
