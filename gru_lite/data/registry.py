"""What data sets there are. A new one is one file beside this and one line here; nothing is imported before
it is named.

The file of a data set defines `ABOUT`, its `Source`, and the function `load(root, **options)`; and
`packaged()`, where an installed package may carry it: the folder, or None. The file of an embedded benchmark
defines a function of the benchmark's name, which generates it from a seed.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from ..errors import check_choice

DATASETS = ("waterbirds", "celeba", "fairface", "multinli", "adult")  # each is the name of its file
# name -> its file
BENCHMARKS = {
    "waterdigits": "waterdigits", "waterdigits_large": "waterdigits", "waterdigits_small": "waterdigits",
    "inkdigits": "inkdigits", "inkdigits_edges": "inkdigits",
}  # fmt: skip
FEATURE_BENCHMARKS = ("inkdigits_edges",)  # without pictures: they train a model of records
RECORD_MODELS = ("mlp",)  # of records
IMAGE_MODELS = ("resnet18", "vit_b_16")  # of pictures on disk, own ones included; the first is the paper's


@dataclass(frozen=True)
class Source:
    """What is known of a data set on disk before any of it is read.

    Attributes:
        name: of the data set.
        files: what must lie in its root; a folder ends with "/".
        origin: where to get them, as a sentence that follows a colon.
        default_groups: (target, sensitive) pairs that are forgotten unless others are named.
        models: architectures that can be trained on it; the first is the paper's.
        small_models: {architecture: options of the loader}, further ones that are trained from scratch in
            seconds or minutes, and of which nothing is published.
        targets: names of the targets to choose from, the default first; () where there is one.
        sensitives: names of the sensitive attributes to choose from, likewise.
        group_sets: {name: (target, sensitive) pairs}, requests that have a name.
        counts: {benchmark name: {split: samples of each group, in the order of group ids}} as published.
        sizes: {benchmark name: {split: samples}} where those of the groups are not published.
        reported: the target that the paper's first version reports; None: it has one target, or no numbers.
        published: name in the table of published hyperparameters; "" where it has none. Its training is then
            that of waterbirds, and so is that of your own images.
    """

    name: str
    files: tuple[str, ...]
    origin: str
    default_groups: tuple[tuple[int, int], ...]
    models: tuple[str, ...] = IMAGE_MODELS
    small_models: dict = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    sensitives: tuple[str, ...] = ()
    group_sets: dict = field(default_factory=dict)
    counts: dict = field(default_factory=dict)
    sizes: dict = field(default_factory=dict)
    reported: str | None = None
    published: str = ""

    @property
    def is_of_records(self) -> bool:
        """Whether it is a table of records, for the small models of features, and not pictures or text."""
        return self.models == RECORD_MODELS


def module_of(name: str) -> ModuleType:
    """Return the module of a data set or of an embedded benchmark."""
    check_choice(name, (*BENCHMARKS, *DATASETS), "benchmark")
    return importlib.import_module(f"{__package__}.{BENCHMARKS.get(name, name)}")


def packaged_root(name: str) -> Path | None:
    """Return the folder in which an installed package carries a data set; None where there is none."""
    packaged = getattr(module_of(name), "packaged", None)
    return packaged() if packaged else None


def source(name: str) -> Source:
    """Return what is known of a data set on disk."""
    check_choice(name, DATASETS, "data set")
    return module_of(name).ABOUT
