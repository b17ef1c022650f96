"""Data sets with groups: embedded benchmarks, those of the paper, and any folder of images with a CSV."""

import inspect
from pathlib import Path

from ..errors import InputError, check_choice
from ..options import DATASET_MODELS
from .celeba import load_celeba
from .dataset import Benchmark, GroupedDataset, View
from .downloads import group_table, warn_of_counts
from .fairface import GROUP_SETS as FAIRFACE_GROUPS
from .fairface import load_fairface
from .manifest import load_manifest
from .multinli import load_multinli
from .waterbirds import load_waterbirds
from .waterdigits import waterdigits, waterdigits_large

BENCHMARKS = {"waterdigits": waterdigits, "waterdigits_large": waterdigits_large}
DATASETS = tuple(DATASET_MODELS)
LOADERS = dict(zip(DATASETS, (load_waterbirds, load_celeba, load_fairface, load_multinli)))
GROUP_SETS = {"fairface": FAIRFACE_GROUPS}  # what --groups 9 and --groups 25 stand for

__all__ = ["BENCHMARKS", "DATASETS", "GROUP_SETS", "Benchmark", "GroupedDataset", "View", "group_table", "load",
           "load_manifest", "prepare", "waterdigits", "waterdigits_large"]


def load(name, root=None, seed=0, **options):
    """Load a data set by name and return its Benchmark.

    Args:
        name: an embedded benchmark, generated and never stored: "waterdigits", or "waterdigits_large" (a larger request,
            more validation and test images); or one of the paper's data sets, from a download: "waterbirds", "celeba",
            "fairface" or "multinli".
        root: folder of the downloads; the embedded benchmarks have none. Images are decoded, or text is tokenised, once:
            they are kept in ROOT/.gru_lite, memory-mapped, and made again when the files change.
        seed: integer >= 0; the same seed gives the same benchmark, byte for byte. Data sets on disk are the same for all.
        options: image_size (waterbirds, celeba, fairface): side in pixels of what a model sees, for a trial run; 224 by
            default. target (celeba): "Blond_Hair" (default) or "Attractive".

    Raises:
        InputError: an unknown name (the nearest one is named) or option, a root where none is used, or files that are
            missing, cannot be read, or are not what their list says.
    """
    check_choice(name, (*BENCHMARKS, *DATASETS), "benchmark")
    options = {option: value for option, value in options.items() if value is not None}
    for option in options:
        if name in BENCHMARKS or option not in [*inspect.signature(LOADERS[name]).parameters][1:]:
            raise InputError(f"{name} has no option {option}: leave it out")
    if name in DATASETS:
        return LOADERS[name](root, **options)
    if root is not None:
        raise InputError(f"{name} is generated: it has no root; for a folder of your own use load_manifest")
    return BENCHMARKS[name](seed)


def prepare(name=None, root=None, manifest=None, **options):
    """Check a download, or the images of a manifest, decode it once, print its groups, and return its Benchmark.

    Args:
        name, root, options: as `load` takes them, of a data set on disk.
        manifest: instead, a CSV as `load_manifest` takes it.
    """
    if manifest is None:
        check_choice(name, DATASETS, "data set")
        bench = load(name, root, **options)
    else:
        bench = load_manifest(manifest, options.get("image_size"), prepare=True)
    total, kept = sum(map(len, (bench.train, bench.val, bench.test))), Path(bench.train.inputs.filename).parent
    print(f"{bench.name}: {total:,} samples, kept in {kept}\n{group_table(bench)}")
    warn_of_counts(bench)
    return bench
