"""What a run and a tuning are made of: every field is a flag of `gru-lite run` or `gru-lite tune`."""

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import ClassVar

from .errors import InputError, check_choice


# Named here, without importing what they stand for, so that the command line answers at once.
BENCHMARK_NAMES = ("waterdigits", "waterdigits_large")
IMAGE_MODELS = ("resnet18", "vit_b_16")  # the first is the paper's
DATASET_MODELS = {"waterbirds": IMAGE_MODELS, "celeba": IMAGE_MODELS, "fairface": IMAGE_MODELS, "multinli": ("bert",)}
METHOD_NAMES = ("finetune", "gradient_ascent", "eu_k", "l1_sparse", "salun", "scrub", "miu")
PAPER_METHODS = ("l1_sparse", "salun", "scrub", "miu")
LISTED = "list"  # the ratio of a request that names its samples


@dataclass(frozen=True)
class Options:
    """What `run` and `tune` have in common."""

    benchmark: str | None = None
    """Embedded benchmark, nothing is downloaded: waterdigits, or waterdigits_large (a larger request, more test images)."""
    manifest: Path | None = None
    """Your own images: a CSV with the columns path,target,sensitive,split; paths are relative to it."""
    groups: tuple[str, ...] = ()
    """Groups that ask to be forgotten, as TARGET,SENSITIVE: numbers, or names unless it is a manifest; its own by default.
    For fairface also 9 or 25, the paper's sets."""
    forget: Path | None = None
    """Instead of groups and ratio: a file that lists the train samples to forget, one a line (numbers; for a manifest paths)."""
    ratio: tuple[str, ...] = ()
    """Shares of each group to forget, each in (0, 1]; 0.5 by default."""
    methods: tuple[str, ...] = ()
    """Unlearning methods: finetune, gradient_ascent, eu_k, l1_sparse, salun, scrub, miu; or all."""
    seeds: int = 3
    """How many seeds. A seed fixes the generated data, the request, the initial weights and the training."""
    first_seed: int = 0
    """The first of them."""
    reweight: tuple[str, ...] = ("replacement",)
    """How REWEIGHT samples: replacement (the paper's), top_up, or both; the first is the reference of Avg. Gap."""
    missing_group: str = "error"
    """When a group is forgotten whole: error, or renormalise (spread its share over the others)."""
    references: int = 1
    """How many references: a second Avg. Gap is measured against their mean, which is a steadier yardstick than one."""
    epochs: int | None = None
    """Epochs of training; fewer for a trial run, which needs its own --out."""
    image_size: int | None = None
    """Side to which the images of a manifest are resized, in pixels."""
    precision: str = "float32"
    """float32; bfloat16 where the hardware has it; float16 on a GPU that has no bfloat16."""
    compile: bool = False
    """Compile the models with torch.compile: it takes minutes, and pays off in hours."""
    jobs: int | None = None
    """Trainings at a time; by default one for each core, or one on a GPU. It does not change the table."""
    scheduler: str | None = None
    """Address of a Dask cluster that does the trainings, such as tcp://HOST:8786; its workers see the same files as you do."""
    out: Path | None = None
    """Results folder; runs/NAME by default (runs/NAME-tune for a tuning)."""
    record: Path | None = None
    """Also write the table to this CSV, with command, commit, versions and device as comments above it."""

    def __post_init__(self):
        """Check what needs no data, so that nothing is loaded or written for a slip of the pen."""
        if [self.benchmark, self.manifest, self.dataset].count(None) != 2:
            raise InputError("name the data: either --benchmark waterdigits or --manifest FILE or --dataset NAME --root DIR")
        if self.benchmark is not None:
            check_choice(self.benchmark, BENCHMARK_NAMES, "benchmark")
            if self.image_size is not None:
                raise InputError("--image-size is for a manifest or a data set: the images of a benchmark have their own size")
        if self.forget is not None and (self.groups or self.ratio):
            raise InputError("--forget lists the samples itself: leave out --groups and --ratio")
        if self.manifest is not None and not self.groups and self.forget is None:
            raise InputError("--manifest needs --groups TARGET,SENSITIVE: which group asks to be forgotten? (or --forget FILE)")
        ratios = () if self.forget is not None else tuple(map(_ratio, self.ratio or ("0.5",)))
        object.__setattr__(self, "ratio", tuple(dict.fromkeys(ratios)))
        every = PAPER_METHODS if self.preset == "paper" else METHOD_NAMES
        methods = [name for given in self.methods for name in (every if given == "all" else (given,))]
        for method in methods:
            check_choice(method, METHOD_NAMES, "method")
        object.__setattr__(self, "methods", tuple(dict.fromkeys(methods)))
        for sampling in self.reweight:
            check_choice(sampling, ("replacement", "top_up"), "--reweight")
        check_choice(self.missing_group, ("error", "renormalise"), "--missing-group")
        check_choice(self.precision, ("float32", "bfloat16", "float16"), "--precision")
        if not self.reweight:
            raise InputError("--reweight needs replacement, top_up or both")
        lows = {"seeds": 1, "first_seed": 0, "references": 1, "trials": 1, "epochs": 1, "jobs": 1, "image_size": 8}
        for name, low in lows.items():
            value = getattr(self, name, None)
            if value is not None and (not isinstance(value, int) or value < low):
                raise InputError(f"--{name.replace('_', '-')} {value!r} is not a whole number of {low} or more")


@dataclass(frozen=True)
class RunOptions(Options):
    """Train the original model, what it is compared with, and the methods; score them; write one table.

    Always computed: original (no-op), retrain with and without REWEIGHT, and ceiling (a second retrain with REWEIGHT).
    Each method runs with and without REWEIGHT; gradient_ascent, which never visits the retain set, runs once.
    A folder that holds finished runs is extended by more seeds, ratios or methods; none is computed twice.
    """

    scored_on: ClassVar[str] = "test"
    dataset: str | None = None
    """Data set on disk: waterbirds, celeba, fairface or multinli. It is prepared once, see gru-lite prepare."""
    root: Path | None = None
    """Folder that holds the data set."""
    target: str | None = None
    """Of celeba: Blond_Hair, the default, or Attractive."""
    preset: str | None = None
    """How a data set is trained and unlearnt: corrected, the default; or paper, as published and released, for its requests."""
    model: str | None = None
    """For a data set: resnet18, the default, or vit_b_16; bert for multinli."""
    weights: str | None = None
    """Where its model starts: imagenet, published weights (the default; of bert, its own), or none, from scratch."""
    configs: Path | None = None
    """Values of the methods' configurations: the chosen.json of a tuning, or one like it; by default the packaged ones."""
    save_models: bool = False
    """Keep every trained model, not only the originals."""

    def __post_init__(self):
        if self.dataset is None:
            for name in ("root", "target", "preset", "model", "weights"):
                if getattr(self, name) is not None:
                    raise InputError(f"--{name} has no meaning for a benchmark or a manifest: it is for --dataset")
        else:
            self._check_dataset()
        super().__post_init__()

    def _check_dataset(self):
        models = DATASET_MODELS[check_choice(self.dataset, DATASET_MODELS, "data set")]
        is_celeba = self.dataset == "celeba"
        if self.root is None:
            raise InputError(f"--dataset {self.dataset} needs --root DIR, the folder that holds it")
        if self.target is not None and not is_celeba:
            raise InputError(f"--target is for celeba: {self.dataset} has one target")
        target = "Blond_Hair" if is_celeba else None
        for name, value in (("target", target), ("preset", "corrected"), ("model", models[0]), ("weights", "imagenet")):
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        choices = {"preset": ("paper", "corrected"), "model": models, "weights": ("imagenet", "none")}
        for name, allowed in (choices | ({"target": ("Blond_Hair", "Attractive")} if is_celeba else {})).items():
            check_choice(getattr(self, name), allowed, f"--{name}")
        if self.image_size is not None and self.model == "bert":
            raise InputError("--image-size is for images: multinli has none")
        if self.image_size not in (None, 224) and self.model == "vit_b_16":
            raise InputError(f"--image-size {self.image_size}: vit_b_16 takes 224 alone; leave it out, or take resnet18")
        if self.preset == "paper" and self.configs is not None:
            raise InputError("--preset paper has values of its own: leave out --configs, or use --preset corrected")
        if self.preset == "paper" and self.reweight != ("replacement",):
            raise InputError("--preset paper samples with replacement: leave out --reweight, or use --preset corrected")


@dataclass(frozen=True)
class TuneOptions(Options):
    """Try configurations of each method, as many for each; choose by Avg. Gap on validation. Test is never predicted.

    Every trial runs with REWEIGHT (gradient_ascent without) on all ratios and seeds, from the method's own search space;
    the first trial is its defaults. Choose seeds that no table will use: --first-seed 100 is the default.
    The folder then holds tuning.csv, the log, and chosen.json, which `gru-lite run --configs` takes.
    """

    scored_on: ClassVar[str] = "val"
    dataset: ClassVar[None] = None  # what is worth trying is known for the embedded benchmarks' models alone
    preset: ClassVar[None] = None
    save_models: ClassVar[bool] = False
    trials: int = 6
    """Configurations of each method, its defaults among them."""
    seeds: int = 4
    """How many seeds to tune on."""
    first_seed: int = 100
    """The first of them. No table may report a seed that was tuned on."""
    references: int = 2
    """How many references the trials are compared with."""

    def __post_init__(self):
        super().__post_init__()
        if not self.methods:
            raise InputError("--methods needs what to tune: one or more methods, or all")
        if len(self.reweight) > 1:
            raise InputError("--reweight: a tuning samples in one way, replacement or top_up")


@dataclass(frozen=True)
class PrepareOptions:
    """Check a download, or the images of a manifest; decode them once into a cache beside them; print the groups.

    What is missing is named with the place where to get it. Runs then read the cache; it is made again when a file changes.
    """

    dataset: str | None = None
    """waterbirds, celeba, fairface or multinli (which needs the extra `text`)."""
    root: Path | None = None
    """Folder of the download; the cache is its folder .gru_lite."""
    target: str | None = None
    """Of celeba: Blond_Hair (default) or Attractive."""
    image_size: int | None = None
    """Side in pixels of what a model sees; smaller for a trial run. Of a manifest: the side to which images are resized."""
    manifest: Path | None = None
    """Instead of a data set, your own images: a CSV with the columns path,target,sensitive,split."""

    def __post_init__(self):
        if (self.dataset is None) == (self.manifest is None):
            raise InputError("name the data: either --dataset NAME --root DIR or --manifest FILE")
        if self.manifest is not None and (self.root is not None or self.target is not None):
            raise InputError("--root and --target belong to a --dataset: the paths of a manifest are relative to it")
        if self.dataset is not None:
            check_choice(self.dataset, DATASET_MODELS, "data set")
            if self.root is None:
                raise InputError(f"--dataset {self.dataset} needs --root DIR: the folder of the download")


def _ratio(text):
    """`text` as a plain exact decimal, so that 0.5 and .50 are one ratio."""
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise InputError(f"--ratio {text!r} is not a number: give shares in (0, 1], separated by spaces, such as 0.1 0.5")
    if not 0 < number <= 1:
        raise InputError(f"--ratio {text} is outside (0, 1]: give the share of each group to forget, such as 0.5")
    return format(number.normalize(), "f")


def available_cores():
    """How many CPU cores this process may use."""
    import os

    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.floor(count or 1))
