"""Data sets with groups: the embedded benchmarks, and any folder of images with a CSV."""

from ..errors import InputError, check_choice
from .dataset import Benchmark, GroupedDataset
from .manifest import load_manifest
from .waterdigits import waterdigits, waterdigits_large

BENCHMARKS = {"waterdigits": waterdigits, "waterdigits_large": waterdigits_large}

__all__ = ["BENCHMARKS", "Benchmark", "GroupedDataset", "load", "load_manifest", "waterdigits", "waterdigits_large"]


def load(name, root=None, seed=0):
    """Load a data set by name and return its Benchmark.

    Args:
        name: an embedded benchmark, generated and never stored: "waterdigits", or "waterdigits_large" (a larger request,
            more validation and test images).
        root: folder of a data set on disk; the embedded benchmarks have none.
        seed: integer >= 0; the same seed gives the same benchmark, byte for byte.

    Raises:
        InputError: an unknown name (the nearest one is named), or a root where none is used.
    """
    check_choice(name, BENCHMARKS, "benchmark")
    if root is not None:
        raise InputError(f"{name} is generated: it has no root; for a folder of your own use load_manifest")
    return BENCHMARKS[name](seed)
